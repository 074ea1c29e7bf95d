import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { parse } from "yaml";
import { Deployment } from "../../components/deployment.ts";
import * as pulumi from "@pulumi/pulumi";
import { egressRules } from "../../core/egress.ts";
import { type TlsSettings } from "../../core/settings.ts";
import { record, type Recording, TENANT, valueOf } from "../support/mocks.ts";
import { egress, make, owner, sizes } from "../support/components.ts";

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
