import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { parse } from "yaml";
import { Cache, type CacheArgs } from "../../components/cache.ts";
import { BuildTrigger, CiPipeline } from "../../components/ci-pipeline.ts";
import { CitadelAgent } from "../../components/citadel-agent/citadel-agent.ts";
import { CitadelEnvironment, TenantGroup } from "../../components/citadel.ts";
import { ControlPlane } from "../../components/control-plane/control-plane.ts";
import { PROMETHEUS_RULE, SERVICE_MONITOR } from "../../components/control-plane/monitoring.ts";
import { Database, type DatabaseArgs } from "../../components/database.ts";
import { Deployment } from "../../components/deployment.ts";
import { DnsRecord } from "../../components/dns-record.ts";
import { GitRepo } from "../../components/git-repo.ts";
import { ImageRepository } from "../../components/image-repository.ts";
import { TemplateSeed } from "../../components/template-seed.ts";
import { WorkloadLabels } from "../../components/workload-labels.ts";
import * as pulumi from "@pulumi/pulumi";
import { AgentNetwork } from "../../components/agent-network.ts";
import { EnvironmentPolicy } from "../../components/policies/environment-policy.ts";
import { ProjectPolicy } from "../../components/policies/project-policy.ts";
import { egressRules } from "../../core/egress.ts";
import { serviceSettings } from "../../core/service-settings.ts";
import { parsePlatformConfig, type TlsSettings } from "../../core/settings.ts";
import { TEMPLATE_VARIABLES, type TemplateValues } from "../../core/template.ts";
import { record, type Recording, TENANT, valueOf } from "../support/mocks.ts";
import { PLATFORM } from "../support/platform.ts";
import { testOwner } from "../support/owner.ts";

const owner = testOwner("my-app");
const { sizes, agent, egress, cache: NO_RIGHTS } = parsePlatformConfig(PLATFORM);
const values = Object.fromEntries(
  Object.keys(TEMPLATE_VARIABLES).map((name) => [name, `value-of-${name}`]),
) as unknown as TemplateValues;

const PULL = {
  host: "r.test",
  account: { username: "staging.my-app.pull.1", password: "planted-pull" },
};

/** Creates each component for a slug. */
const make = {
  GitRepo: (slug: string) =>
    new GitRepo(slug, { slug, owner, organization: "projects", description: "Mine" }),
  DnsRecord: (slug: string) =>
    new DnsRecord(slug, { slug, owner, domain: "example.test", target: "192.0.2.1", ttl: 300 }),
  ImageRepository: (slug: string) =>
    new ImageRepository(slug, { slug, owner, registry: "r.test", accountVersion: 1 }),
  Database: (slug: string) => new Database(slug, { slug, owner, connectionLimit: 5 }),
  Cache: (slug: string) => new Cache(slug, { slug, owner, rights: NO_RIGHTS }),
  CitadelEnvironment: (slug: string) =>
    new CitadelEnvironment(slug, {
      slug,
      owner,
      displayName: "Mine",
      organization: "orchard9",
      group: "projects",
      enabled: true,
    }),
  TemplateSeed: (slug: string) =>
    new TemplateSeed(slug, {
      template: "skeleton",
      repository: "projects/x",
      repositoryId: 7,
      cloneUrl: "http://git/x.git",
      branch: "main",
      values,
    }),
  CiPipeline: (slug: string) =>
    new CiPipeline(slug, {
      owner,
      repository: `projects/${slug}`,
      repositoryId: 7,
      deploy: { token: pulumi.secret("deploy-token"), ca: pulumi.output("deploy-ca") },
      registryAccount: { username: "staging.x.push.1", password: "planted-push" },
      credentialsVersion: 1,
    }),
  BuildTrigger: (slug: string) => new BuildTrigger(slug, { repositoryId: 3, branch: "main" }),
  Deployment: (slug: string) =>
    new Deployment(slug, {
      slug,
      owner,
      host: `${slug}.example.test`,
      placeholderImage: "placeholder:1",
      sizes,
      ingressClass: "traefik",
      ingressNamespace: "kube-system",
      egress,
      environment: TENANT,
      pull: PULL,
      secrets: { DATABASE_URL: pulumi.secret("postgres://planted") },
    }),
  CitadelAgent: (platform: string) =>
    new CitadelAgent(platform, {
      platform,
      owner,
      namespace: "observability",
      image: "agent:1",
      settings: agent,
      citadelUrl: "https://citadel.test:8443/base",
      apiKey: "ck_planted",
      tenantId: TENANT,
    }),
  EnvironmentPolicy: (platform: string) =>
    new EnvironmentPolicy(platform, {
      owner,
      environment: TENANT,
      actions: ["Deny"],
    }),
  ProjectPolicy: (platform: string) =>
    new ProjectPolicy(platform, {
      platform,
      owner,
    }),
  AgentNetwork: (platform: string) =>
    new AgentNetwork(platform, {
      platform,
      namespace: "observability",
      prometheusNamespace: "monitoring",
    }),
  ControlPlane: (platform: string) =>
    new ControlPlane(platform, {
      platform,
      owner,
      settings: serviceSettings.parse({
        image: "rdev-infra:1",
        host: "infra.example.test",
        identity: {},
      }),
      ingressClass: "traefik",
      ingressNamespace: "kube-system",
      egress,
      prometheusNamespace: "monitoring",
      monitoring: pulumi.output([SERVICE_MONITOR, PROMETHEUS_RULE]),
      collectsLogs: true,
      settingsFile: { name: "Pulumi.staging.yaml", text: "config: {}\n" },
      pullAccount: { username: "puller", password: "planted" },
      variables: { DATABASE_URL: "postgres://service:planted@db/rdev" },
      ownerUrl: "postgres://owner:planted@db/rdev",
    }),
  TenantGroup: (group: string) => new TenantGroup(group, { group, enabled: true }),
  WorkloadLabels: (name: string) =>
    new WorkloadLabels(name, {
      workload: { kind: "StatefulSet", namespace: "rdev", name },
      environment: TENANT,
    }),
} as const;

describe("components", () => {
  for (const [component, create] of Object.entries(make)) {
    it(`${component} can be created twice without a name collision`, async () => {
      const { all } = await record(() => {
        create("one-app");
        create("two-app");
      });
      assert.equal(all.filter(({ type }) => type === `rdev:components:${component}`).length, 2);
      const custom = all.filter((one) => one.custom);
      assert.ok(custom.length >= 2);
      for (const { name } of custom) assert.match(name, /^(one|two)-app/);
    });
  }

  it("have no provider code in their inputs, only its reference", async () => {
    const { all } = await record(() => {
      for (const [component, create] of Object.entries(make)) create(component.toLowerCase());
    });
    const dynamic = all.filter(({ type }) => type.startsWith("pulumi-nodejs:dynamic/"));
    assert.ok(dynamic.length >= 10);
    for (const { inputs, type } of dynamic) {
      assert.match(
        String(inputs["__provider"]),
        /"rdev-infra\/providers\/[\w/-]+"\)\.provider;$/,
        type,
      );
      assert.ok(String(inputs["__provider"]).length < 200);
    }
  });
});

describe("GitRepo", () => {
  it("makes a private repository in the organization, with the project's mark", async () => {
    const { one, result } = await record(() => make.GitRepo("my-app").fullName);
    const { inputs } = one("gitea:Repository");
    assert.equal(inputs["organization"], "projects");
    assert.equal(inputs["name"], "my-app");
    assert.deepEqual(inputs["owner"], owner);
    assert.equal(inputs["retain"], false);
    assert.equal(result, "projects/my-app");
  });
});

describe("DnsRecord", () => {
  for (const [target, type] of [
    ["192.0.2.1", "A"],
    ["2001:db8::1", "AAAA"],
    ["ingress.example.test", "CNAME"],
  ] as const) {
    it(`makes a record of type ${type} for ${target}`, async () => {
      const { one } = await record(
        () =>
          new DnsRecord("x", { slug: "my-app", owner, domain: "example.test", target, ttl: 60 }),
      );
      const { inputs } = one("dns:Record");
      assert.equal(inputs["type"], type);
      assert.equal(inputs["name"], "my-app.example.test");
      assert.equal(inputs["zone"], "example.test");
      assert.equal(inputs["content"], target);
      assert.equal(inputs["ttl"], 60);
    });
  }
});

describe("Database", () => {
  it("makes a role with a generated password, and a secret URL", async () => {
    let secret: boolean | undefined;
    const { one, result } = await record(async () => {
      const { url } = make.Database("my-app");
      secret = await pulumi.isSecret(url);
      return url;
    });
    const { inputs, secrets } = one("postgres:Database");
    assert.equal(inputs["name"], "my_app");
    assert.equal(inputs["connectionLimit"], 5);
    assert.ok(secrets.includes("password"));
    assert.equal(result, "postgres://my_app:password-of-my-app-database-password@db:5432/my_app");
    assert.equal(secret, true);
  });

  it("keeps the administrator's sslmode in the URL", async () => {
    const { result } = await record(() => make.Database("my-app").url, { sslmode: "require" });
    assert.match(String(result), /@db:5432\/my_app\?sslmode=require$/);
  });

  it("gives pods the address that the platform sets", async () => {
    const url = (address: DatabaseArgs["address"] & object) =>
      record(
        () => new Database("my-app", { slug: "my-app", owner, connectionLimit: 5, address }).url,
        {
          sslmode: "require",
        },
      );
    const own = await url({ host: "2001:db8::1", port: 6432, sslmode: "verify-full" });
    assert.match(String(own.result), /@\[2001:db8::1\]:6432\/my_app\?sslmode=verify-full$/);
    const kept = await url({ host: "postgres.data.svc", port: 5432 });
    assert.match(String(kept.result), /@postgres\.data\.svc:5432\/my_app\?sslmode=require$/);
  });
});

describe("Cache", () => {
  it("makes a user limited to the slug's prefix, and a secret URL", async () => {
    let secret: boolean | undefined;
    const { one, result } = await record(async () => {
      const { url } = make.Cache("my-app");
      secret = await pulumi.isSecret(url);
      return url;
    });
    const { inputs, secrets } = one("redis:User");
    assert.equal(inputs["prefix"], "my-app:");
    assert.ok(secrets.includes("password"));
    assert.equal(result, "redis://my-app:password-of-my-app-cache-password@cache:6379");
    assert.equal(secret, true);
  });

  it("gives pods the address that the platform sets", async () => {
    const url = (address: CacheArgs["address"] & object) =>
      record(() => new Cache("my-app", { slug: "my-app", owner, rights: NO_RIGHTS, address }).url);
    const own = await url({ host: "redis.data.svc", port: 6380, tls: true });
    assert.match(String(own.result), /^rediss:.*@redis\.data\.svc:6380$/);
    const kept = await url({ host: "::1", port: 6379 });
    assert.match(String(kept.result), /^redis:.*@\[::1\]:6379$/);
  });

  it("permits scripts and INFO only if the platform does", async () => {
    const rulesFor = async (rights: CacheArgs["rights"]) => {
      const { one } = await record(() => new Cache("my-app", { slug: "my-app", owner, rights }));
      return String(one("redis:User").inputs["commands"]).split(" ");
    };
    const more = ["+eval", "+info"];
    const none = await rulesFor(NO_RIGHTS);
    assert.deepEqual(
      more.filter((rule) => none.includes(rule)),
      [],
    );
    const both = await rulesFor({ scripts: true, info: true });
    assert.deepEqual(
      more.filter((rule) => both.includes(rule)),
      more,
    );
  });
});

describe("CiPipeline", () => {
  it("activates the repository and sets the secrets of its pipeline", async () => {
    const { one, byType } = await record(() => make.CiPipeline("my-app"));
    assert.equal(one("woodpecker:Repository").inputs["forgeRemoteId"], 7);
    assert.equal(one("woodpecker:RegistryCredentials").inputs["credentialsVersion"], 1);
    const secrets = byType("woodpecker:Secret");
    assert.deepEqual(secrets.map(({ inputs }) => inputs["name"]).sort(), ["kube_ca", "kube_token"]);
    for (const { secrets: keys } of secrets) assert.ok(keys.includes("value"));
  });
});

describe("TemplateSeed", () => {
  it("passes the template's values to the seeding program, but no secret", async () => {
    const { one } = await record(() => make.TemplateSeed("my-app"));
    const { inputs, secrets } = one("command:local:Command");
    const environment = inputs["environment"] as Record<string, string>;
    assert.equal(environment["SEED_TEMPLATE"], "skeleton");
    assert.deepEqual(JSON.parse(environment["SEED_VALUES"] ?? ""), values);
    assert.deepEqual(secrets, []);
    assert.equal(inputs["delete"], undefined);
  });

  it("seeds again if the repository is a new one", async () => {
    const { one } = await record(() => make.TemplateSeed("my-app"));
    assert.deepEqual(one("command:local:Command").inputs["triggers"], [7]);
  });

  it("refuses a template that does not exist, also in a preview", async () => {
    const program = () =>
      new TemplateSeed("x", {
        template: "nothing",
        repository: "o/r",
        repositoryId: 7,
        cloneUrl: "u",
        branch: "main",
        values,
      });
    await assert.rejects(record(program, { preview: true }), { code: "RDEV_TEMPLATE" });
  });
});

describe("Deployment", () => {
  const pod = (deployment: { inputs: Readonly<Record<string, unknown>> }) =>
    (deployment.inputs["spec"] as { template: { metadata: { labels: object }; spec: PodSpec } })
      .template;
  interface PodSpec {
    securityContext: object;
    automountServiceAccountToken: boolean;
    terminationGracePeriodSeconds: number;
    containers: [
      {
        image: string;
        resources: { limits: object };
        securityContext: object;
        envFrom: unknown;
        lifecycle: { preStop: { sleep: { seconds: number } } };
      },
    ];
  }

  it("labels its pods for Citadel and for Kubernetes", async () => {
    const { one } = await record(() => make.Deployment("my-app"));
    assert.deepEqual(pod(one("kubernetes:apps/v1:Deployment")).metadata.labels, {
      "app.kubernetes.io/name": "my-app",
      "app.kubernetes.io/managed-by": "rdev-infra",
      "citadel.io/environment": TENANT,
      "citadel.io/service": "my-app",
    });
  });

  it("binds its namespace to its environment", async () => {
    const { one } = await record(() => make.Deployment("my-app"));
    const labels = one("kubernetes:Namespace").inputs["labels"] as Record<string, string>;
    assert.equal(labels["citadel.io/environment"], TENANT);
  });

  it("has no environment label without Citadel, and its namespace permits none", async () => {
    const { one } = await record(
      () =>
        new Deployment("my-app", {
          slug: "my-app",
          owner,
          host: "h",
          placeholderImage: "p",
          sizes,
          ingressClass: "traefik",
          ingressNamespace: "kube-system",
          egress,
          environment: "",
          pull: undefined,
          secrets: {},
        }),
    );
    const { labels } = pod(one("kubernetes:apps/v1:Deployment")).metadata;
    assert.ok(!("citadel.io/environment" in labels));
    assert.ok("citadel.io/service" in labels);
    const namespace = one("kubernetes:Namespace").inputs["labels"] as Record<string, string>;
    assert.equal(namespace["citadel.io/environment"], "");
  });

  it("gives its Ingress the certificate that the platform's settings name", async () => {
    const ingress = async (tls: TlsSettings | undefined) => {
      const { one } = await record(
        () =>
          new Deployment("my-app", {
            slug: "my-app",
            owner,
            host: "my-app.example.test",
            placeholderImage: "p",
            sizes,
            ingressClass: "traefik",
            ingressNamespace: "kube-system",
            ...(tls && { tls }),
            egress,
            pull: undefined,
            secrets: {},
          }),
      );
      const { metadata, spec } = one("kubernetes:networking.k8s.io/v1:Ingress").inputs as {
        metadata: { annotations: Record<string, string> };
        spec: { tls: unknown };
      };
      return { issuer: metadata.annotations["cert-manager.io/cluster-issuer"], tls: spec.tls };
    };
    const hosts = ["my-app.example.test"];
    // As in older versions: the ingress controller's default certificate.
    assert.deepEqual(await ingress(undefined), { issuer: undefined, tls: [{ hosts }] });
    assert.deepEqual(await ingress({ clusterIssuer: "letsencrypt" }), {
      issuer: "letsencrypt",
      tls: [{ hosts, secretName: "my-app-tls" }],
    });
    assert.deepEqual(await ingress({ secret: "wildcard" }), {
      issuer: undefined,
      tls: [{ hosts, secretName: "wildcard" }],
    });
  });

  it("satisfies Pod Security restricted and has limits", async () => {
    const { one } = await record(() => make.Deployment("my-app"));
    const namespace = one("kubernetes:Namespace").inputs["labels"] as Record<string, string>;
    assert.equal(namespace["pod-security.kubernetes.io/enforce"], "restricted");
    const { spec } = pod(one("kubernetes:apps/v1:Deployment"));
    assert.deepEqual(spec.securityContext, {
      runAsNonRoot: true,
      runAsUser: 65532,
      seccompProfile: { type: "RuntimeDefault" },
    });
    assert.deepEqual(spec.containers[0].resources.limits, { cpu: "500m", memory: "256Mi" });
    assert.equal(spec.automountServiceAccountToken, false);
    one("kubernetes:core/v1:ResourceQuota");
    one("kubernetes:core/v1:LimitRange");
  });

  it("lets an ending pod answer until nobody connects, and complete its requests, as in the skeleton", async () => {
    const read = (path: string) =>
      readFile(new URL(`../../templates/skeleton/${path}`, import.meta.url), "utf8");
    const [, drain] = /const drain = (\d+) \* time\.Second/.exec(await read("main.go")) ?? [];
    const { one } = await record(() => make.Deployment("my-app"));
    const text = (await read("k8s/deployment.yaml")).replaceAll(/\{\{(\w+)\}\}/g, "$1");
    const manifest = parse(text) as { spec: { template: object } };
    for (const template of [pod(one("kubernetes:apps/v1:Deployment")), manifest.spec.template]) {
      const { spec } = template as { spec: PodSpec };
      const seconds = spec.containers[0].lifecycle.preStop.sleep.seconds;
      assert.ok(seconds >= 3, `with ${seconds} s some requests are refused`);
      assert.ok(spec.terminationGracePeriodSeconds > seconds + Number(drain));
    }
  });

  it("keeps the running image, and starts with the placeholder", async () => {
    const { one } = await record(() => make.Deployment("my-app"));
    assert.deepEqual(
      { ...one("kubernetes:RunningImage").inputs, __provider: undefined },
      {
        namespace: "my-app",
        deployment: "my-app",
        container: "app",
        fallback: "placeholder:1",
        __provider: undefined,
      },
    );
    const { spec } = pod(one("kubernetes:apps/v1:Deployment"));
    assert.equal(spec.containers[0].image, "placeholder:1");
  });

  it("waits for its pods, unless CI has set their image and they are not up yet", async () => {
    const annotations = ({ one }: Recording) =>
      (one("kubernetes:apps/v1:Deployment").inputs["metadata"] as { annotations: object })
        .annotations;
    assert.deepEqual(annotations(await record(() => make.Deployment("my-app"))), {
      "pulumi.com/skipAwait": "false",
    });
    const warnings: string[] = [];
    const { warn } = console;
    console.warn = (text: string) => void warnings.push(text);
    try {
      const problem = "pod my-app-1: container app: ErrImagePull: no basic auth credentials";
      const runningImage = { image: "r.test/my-app:7", problem };
      const recording = await record(() => make.Deployment("my-app"), { runningImage });
      assert.deepEqual(annotations(recording), { "pulumi.com/skipAwait": "true" });
      assert.match(
        warnings.join(),
        /my-app does not come up with .*r\.test\/my-app:7.*no basic auth/,
      );
      const underWay = await record(() => make.Deployment("my-app"), {
        runningImage: { image: "r.test/my-app:8", isRollingOut: true },
      });
      assert.deepEqual(annotations(underWay), { "pulumi.com/skipAwait": "true" });
      assert.match(warnings.at(-1) ?? "", /rollout of the image r\.test\/my-app:8.* is under way/);
    } finally {
      console.warn = warn;
    }
  });

  it("limits each container and the objects in its namespace", async () => {
    const { one } = await record(() => make.Deployment("my-app"));
    assert.deepEqual(one("kubernetes:core/v1:ResourceQuota").inputs["spec"], {
      hard: {
        "limits.cpu": "2",
        "limits.memory": "1Gi",
        "limits.ephemeral-storage": "40Gi",
        pods: "40",
        persistentvolumeclaims: "4",
        "requests.storage": "10Gi",
        "services.loadbalancers": "0",
        "services.nodeports": "0",
      },
    });
    assert.deepEqual(one("kubernetes:core/v1:LimitRange").inputs["spec"], {
      limits: [
        {
          type: "Container",
          default: { cpu: "500m", memory: "256Mi", "ephemeral-storage": "1Gi" },
          defaultRequest: { cpu: "50m", memory: "64Mi", "ephemeral-storage": "1Mi" },
          min: { cpu: "1m", memory: "1Mi", "ephemeral-storage": "1Mi" },
          max: { cpu: "2", memory: "1Gi" },
        },
      ],
    });
  });

  it("permits connections from the ingress and its own pods, and to what the platform opens", async () => {
    const { one } = await record(() => make.Deployment("my-app"));
    const spec = one("kubernetes:networking.k8s.io/v1:NetworkPolicy").inputs["spec"];
    assert.deepEqual(spec, {
      podSelector: {},
      policyTypes: ["Ingress", "Egress"],
      egress: egressRules(egress, [{ host: "planted", port: 5432 }]),
      ingress: [
        {
          from: [
            { podSelector: {} },
            {
              namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "kube-system" } },
            },
          ],
        },
      ],
    });
  });

  it("keeps its secrets in a Secret whose name changes with them", async () => {
    const { one } = await record(() => make.Deployment("my-app"));
    const secret = one("kubernetes:core/v1:Secret", "my-app-env");
    assert.ok(secret.secrets.includes("stringData"));
    assert.equal((secret.inputs["metadata"] as { name?: string }).name, undefined);
    assert.equal(secret.inputs["immutable"], true);
    assert.deepEqual(pod(one("kubernetes:apps/v1:Deployment")).spec.containers[0].envFrom, [
      { secretRef: { name: "my-app-env-1a2b3c4" } },
    ]);
  });

  it("gives CI a token that may only set the image of its own Deployment", async () => {
    const { one, result } = await record(async () => {
      const { deploy } = make.Deployment("my-app");
      assert.equal(await pulumi.isSecret(deploy.token), true);
      return [await valueOf(deploy.token), await valueOf(deploy.ca)];
    });
    assert.deepEqual(result, ["deploy-token", "deploy-ca"]);
    const rules = one("kubernetes:rbac.authorization.k8s.io/v1:Role").inputs["rules"];
    assert.deepEqual(rules, [
      {
        apiGroups: ["apps"],
        resources: ["deployments"],
        resourceNames: ["my-app"],
        verbs: ["get", "patch"],
      },
      { apiGroups: ["apps"], resources: ["deployments"], verbs: ["list", "watch"] },
    ]);
  });
});

describe("WorkloadLabels", () => {
  it("patches only the labels of the pods", async () => {
    const { one } = await record(() => make.WorkloadLabels("claudebox"));
    const { inputs } = one("kubernetes:apps/v1:StatefulSetPatch");
    assert.deepEqual(inputs["metadata"], { namespace: "rdev", name: "claudebox" });
    assert.deepEqual(inputs["spec"], {
      template: {
        metadata: {
          labels: { "citadel.io/environment": TENANT, "citadel.io/service": "claudebox" },
        },
      },
    });
  });
});
