import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { collectDefaultMetrics, Registry } from "prom-client";
import { parse } from "yaml";
import program from "../../index.ts";
import { parseIdentitySettings } from "../../automation/identity/settings.ts";
import { workerEnvironment } from "../../automation/worker/environment.ts";
import { AGENT_ALERTS, serviceAlerts } from "../../components/control-plane/alerts.ts";
import { PROMETHEUS_RULE, SERVICE_MONITOR } from "../../components/control-plane/monitoring.ts";
import { parsePlatformConfig } from "../../core/settings.ts";
import { rolesInFile } from "../../providers/kubernetes/rights.ts";
import { SERVICE_CONFIG } from "../../sandbox/service-image/layout.ts";
import { record, type RecordOptions } from "../support/mocks.ts";
import { PLATFORM } from "../support/platform.ts";
import { withVariables } from "../support/variables.ts";

const IDENTITY = {
  people: {
    issuer: "https://git.example.test",
    clientId: "client",
    roles: [{ group: "platform", role: "admin" }],
    signIn: { publicUrl: "https://rdev-infra.staging.example.test" },
  },
};
const SERVICE = {
  image: "registry.example.test/rdev-infra:1.2.3",
  host: "rdev-infra.staging.example.test",
};
const RECEIVERS = {
  webhooks: [{ name: "ops", url: "https://hooks.example.com/rdev", events: ["rollout.ended"] }],
};
const WEBHOOK_SECRET = `whsec_${Buffer.from("planted-secret-of-a-receiver").toString("base64")}`;
const RECIPIENT = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";
const VARIABLES = {
  GITEA_URL: "http://gitea.test",
  GITEA_TOKEN: "planted-gitea",
  GITEA_COMMENT_TOKEN: "planted-comments",
  WOODPECKER_URL: "http://woodpecker.test",
  WOODPECKER_TOKEN: "planted-woodpecker",
  DNS_PROVIDER: "powerdns",
  POWERDNS_URL: "http://powerdns.test",
  POWERDNS_API_KEY: "planted-powerdns",
  REGISTRY_URL: "http://registry.test",
  REGISTRY_USERNAME: "registry",
  REGISTRY_PASSWORD: "planted-registry",
  REGISTRY_TOKEN_KEY: undefined,
  REGISTRY_TOKEN_KEY_FILE: undefined,
  POSTGRES_ADMIN_URL: "postgres://admin:planted-postgres@127.0.0.1/postgres",
  RDEV_INFRA_SERVICE_POSTGRES_ADMIN_URL: "postgres://admin:planted-postgres@db/postgres",
  REDIS_ADMIN_URL: "redis://admin:planted-redis@cache",
  CITADEL_URL: "https://citadel.test",
  CITADEL_API_KEY: "ck_planted_admin",
  CITADEL_AGENT_KEY: "ck_planted_agent",
  DATABASE_URL: "postgres://rdev_service:planted-service@db/rdev_infra",
  DATABASE_OWNER_URL: "postgres://rdev_owner:planted-owner@db/rdev_infra",
  PULUMI_BACKEND_URL: "postgres://states:planted-states@db/states",
  PULUMI_CONFIG_PASSPHRASE: "planted-passphrase",
  RDEV_INFRA_SESSION_KEY: "planted-session-key-of-32-characters",
};

type Variables = Readonly<Record<string, string | undefined>>;

/** The objects of the service as Kubernetes gets them. */
function run(service: object | undefined, more: Variables = {}, options: RecordOptions = {}) {
  const config = { ...PLATFORM, ...(service && { service: JSON.stringify(service) }) };
  return withVariables({ ...VARIABLES, ...more }, () =>
    record(program, { stack: "staging", config, ...options }),
  );
}

/** The certificate of a private authority. It expires in 2126. */
const AUTHORITY = `-----BEGIN CERTIFICATE-----
MIIBgjCCASigAwIBAgIUBS+LT9hBYJUed5SscygGR3TFpmQwCgYIKoZIzj0EAwIw
HjEcMBoGA1UEAwwTQSBwcml2YXRlIGF1dGhvcml0eTAgFw0yNjExMjcwNTU2MTha
GA8yMTI2MTEwMzA1NTYxOFowHjEcMBoGA1UEAwwTQSBwcml2YXRlIGF1dGhvcml0
eTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABC2S3GEBNyNnbHlfTIzjUKJBnhkx
EzslFpW5gvXickuoJ18sbX4e6KAAr26rU433CxiKueApTotIVANCDe2yGaajQjBA
MA8GA1UdEwEB/wQFMAMBAf8wDgYDVR0PAQH/BAQDAgIEMB0GA1UdDgQWBBR9XSTT
5hxS9lPhzBSsGoAy2pba0DAKBggqhkjOPQQDAgNIADBFAiEAnTTZL1XexvDEhfE4
Zz8UQQCMCo+CkNLGSc6ukdtJIP4CIEvMWxLFn38HaXuH5HuEQrxHWV584HWgaffD
tZWYHZa2
-----END CERTIFICATE-----
`;

interface Container {
  readonly image: string;
  readonly args?: readonly string[];
  readonly env?: readonly { name: string; value: string }[];
  readonly envFrom: readonly { secretRef: { name: string } }[];
  readonly securityContext: object;
  readonly volumeMounts: readonly { name: string; mountPath: string }[];
}
interface PodSpec {
  readonly imagePullSecrets?: readonly { name: string }[];
  readonly automountServiceAccountToken: boolean;
  readonly terminationGracePeriodSeconds: number;
  readonly containers: readonly [Container];
  readonly volumes: readonly { name: string }[];
  readonly securityContext: object;
}
const podOf = ({ inputs }: { readonly inputs: Readonly<Record<string, unknown>> }) =>
  (inputs["spec"] as { template: { spec: PodSpec } }).template.spec;

describe("the service in the platform's stack", () => {
  it("is not there without the setting, and then nothing else differs", async () => {
    const [without, withService] = [await run(undefined), await run(SERVICE)];
    const keys = ({ all }: typeof without) => all.map(({ type, name }) => `${type} ${name}`);
    const added = keys(withService).filter((key) => !keys(without).includes(key));
    assert.deepEqual(
      keys(without).filter((key) => !keys(withService).includes(key)),
      [],
    );
    for (const key of added) assert.match(key, / (service|control-plane)/);
    const claim = without.one("kubernetes:ClusterClaim").inputs;
    assert.deepEqual(claim["clusterRoles"], ["rdev-infra:citadel-agent"]);
    assert.equal(claim["kinds"], undefined);
    // Projects read the outputs, also with an older version.
    assert.deepEqual(withService.result, without.result);
  });

  it("runs two replicas of the image, apart, without root, on a read-only root file system", async () => {
    const { one } = await run(SERVICE);
    const deployment = one("kubernetes:apps/v1:Deployment");
    const spec = deployment.inputs["spec"] as { replicas: number; strategy: object };
    assert.equal(spec.replicas, 2);
    assert.deepEqual(spec.strategy, {
      type: "RollingUpdate",
      rollingUpdate: { maxUnavailable: 0, maxSurge: 1 },
    });
    const pod = podOf(deployment);
    const [container] = pod.containers;
    assert.equal(container.image, SERVICE.image);
    assert.deepEqual(pod.securityContext, {
      runAsNonRoot: true,
      runAsUser: 65_532,
      seccompProfile: { type: "RuntimeDefault" },
      fsGroup: 65_532,
    });
    assert.deepEqual(container.securityContext, {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ["ALL"] },
    });
    assert.match(JSON.stringify(pod), /podAntiAffinity.*kubernetes\.io\/hostname/);
    const budget = one("kubernetes:policy/v1:PodDisruptionBudget").inputs["spec"];
    assert.equal((budget as { maxUnavailable: number }).maxUnavailable, 1);
  });

  it("can write to the volumes of the image, and to nothing else", async () => {
    const { one } = await run(SERVICE);
    for (const type of ["kubernetes:apps/v1:Deployment", "kubernetes:batch/v1:Job"]) {
      const { containers, volumes } = podOf(one(type));
      const { volumeMounts } = containers[0];
      assert.deepEqual(
        volumeMounts.map(({ mountPath }) => mountPath).sort(),
        [...SERVICE_CONFIG.volumes].sort(),
      );
      assert.deepEqual(
        volumes,
        volumeMounts.map(({ name }) => ({ name, emptyDir: {} })),
      );
    }
  });

  it("ends later than the service needs to complete or hand back its operations", async () => {
    const { one } = await run(SERVICE);
    const pod = podOf(one("kubernetes:apps/v1:Deployment"));
    const number = async (file: string, pattern: RegExp) => {
      const text = await readFile(new URL(`../../${file}`, import.meta.url), "utf8");
      return Number(pattern.exec(text)?.[1]?.replaceAll("_", ""));
    };
    const drain = [
      await number("cli/commands/service.ts", /SHUTDOWN_GRACE_MS = ([\d_]+)/),
      await number("automation/operations/execution.ts", /HAND_BACK_GRACE = ([\d_]+)/),
      await number("automation/service/options.ts", /shutdownGraceMs: ([\d_]+)/),
      await number("components/control-plane/pods.ts", /PRE_STOP_S = (\d+)/).then((s) => s * 1000),
    ].reduce((sum, ms) => sum + ms);
    assert.ok(drain >= 40_000, String(drain));
    assert.ok(pod.terminationGracePeriodSeconds * 1000 > drain, String(drain));
  });

  it("gets its variables as a Secret, with the addresses that pods need", async () => {
    const { one, all } = await run({ ...SERVICE, identity: IDENTITY });
    const secret = one("kubernetes:core/v1:Secret", "control-plane-variables");
    assert.deepEqual(secret.secrets, ["stringData"]);
    const variables = secret.inputs["stringData"] as Record<string, string>;
    assert.equal(variables["POSTGRES_ADMIN_URL"], "postgres://admin:planted-postgres@db/postgres");
    assert.equal(variables["PULUMI_CONFIG_PASSPHRASE"], "planted-passphrase");
    for (const name of ["DATABASE_OWNER_URL", "GITEA_COMMENT_TOKEN", "KUBECONFIG"]) {
      assert.ok(!(name in variables), name);
    }
    const [container] = podOf(one("kubernetes:apps/v1:Deployment")).containers;
    const { metadata } = secret.inputs as { metadata: { name?: string } };
    assert.equal(metadata.name, undefined, "a changed value must make a new Secret");
    assert.match(String(container.envFrom[0]?.secretRef.name), /^control-plane-variables/);
    // No secret outside of Secrets.
    const others = all.filter(({ type }) => !type.endsWith(":Secret"));
    assert.doesNotMatch(JSON.stringify(others), /planted-/);
  });

  it("reads the settings of people from a ConfigMap, as they were written", async () => {
    const { one } = await run({ ...SERVICE, identity: IDENTITY });
    const { data, immutable } = one("kubernetes:core/v1:ConfigMap", "control-plane-settings")
      .inputs as { data: Record<string, string>; immutable: boolean };
    assert.equal(immutable, true);
    const text = data["identity.yaml"] ?? "";
    assert.deepEqual(parse(text), IDENTITY);
    const secrets = { file: "identity.yaml", sessionKey: "k".repeat(32) };
    assert.equal(parseIdentitySettings(text, secrets).people?.clientId, "client");
    const env = podOf(one("kubernetes:apps/v1:Deployment")).containers[0].env ?? [];
    const file = env.find(({ name }) => name === "RDEV_INFRA_IDENTITY_FILE");
    assert.equal(file?.value, "/etc/rdev-infra/identity.yaml");
  });

  it("reads the receivers of notifications from a file, and their secrets from the Secret", async () => {
    const variables = { RDEV_INFRA_WEBHOOK_SECRETS: JSON.stringify({ ops: WEBHOOK_SECRET }) };
    const { one, all } = await run({ ...SERVICE, notifications: RECEIVERS }, variables);
    const { data } = one("kubernetes:core/v1:ConfigMap", "control-plane-settings").inputs as {
      data: Record<string, string>;
    };
    assert.deepEqual(Object.keys(data), ["notifications.yaml"]);
    assert.deepEqual(parse(data["notifications.yaml"] ?? ""), RECEIVERS);
    const env = podOf(one("kubernetes:apps/v1:Deployment")).containers[0].env ?? [];
    const file = env.find(({ name }) => name === "RDEV_INFRA_NOTIFICATIONS_FILE");
    assert.equal(file?.value, "/etc/rdev-infra/notifications.yaml");
    const others = all.filter(({ type }) => !type.endsWith(":Secret"));
    assert.ok(!JSON.stringify(others).includes(WEBHOOK_SECRET));
  });

  it("migrates the database before each version, with a password that the service does not get", async () => {
    const names = new Set<string>();
    for (const image of [SERVICE.image, SERVICE.image, "registry.example.test/rdev-infra:1.2.4"]) {
      const { one, all } = await run({ ...SERVICE, image });
      const job = one("kubernetes:batch/v1:Job");
      names.add((job.inputs["metadata"] as { name: string }).name);
      const pod = podOf(job);
      assert.equal(pod.automountServiceAccountToken, false);
      assert.match(
        String(pod.containers[0].envFrom[0]?.secretRef.name),
        /^control-plane-migration/,
      );
      const order = all.map(({ type }) => type);
      assert.ok(
        order.indexOf("kubernetes:batch/v1:Job") < order.indexOf("kubernetes:apps/v1:Deployment"),
      );
      const secret = one("kubernetes:core/v1:Secret", "control-plane-migration");
      assert.deepEqual(Object.keys(secret.inputs["stringData"] as object).sort(), [
        "DATABASE_OWNER_URL",
        "DATABASE_URL",
      ]);
    }
    assert.equal(names.size, 2);
  });

  it("starts a migration that failed again with the next up", async () => {
    const { one } = await run(SERVICE);
    const { annotations } = one("kubernetes:batch/v1:Job").inputs["metadata"] as {
      annotations: Record<string, string>;
    };
    assert.deepEqual(annotations, { "pulumi.com/replaceUnready": "true" });
  });

  it("backs up to a volume of its own at the time that the settings say, and only if they do", async () => {
    const type = "kubernetes:batch/v1:CronJob";
    assert.deepEqual((await run(SERVICE)).byType(type), []);
    const backup = { recipients: [RECIPIENT], schedule: "5 4 * * 0", keep: 3, storageClass: "nfs" };
    const { one } = await run({ ...SERVICE, backup });
    const { schedule, jobTemplate } = one(type).inputs["spec"] as {
      schedule: string;
      jobTemplate: { spec: { template: { spec: PodSpec } } };
    };
    assert.equal(schedule, backup.schedule);
    const pod = jobTemplate.spec.template.spec;
    assert.equal(pod.automountServiceAccountToken, false);
    const [container] = pod.containers;
    assert.deepEqual(container.args, [
      ...["backup", "--to", "/backups", "--keep", "3", "--json"],
      ...["--recipient", RECIPIENT],
    ]);
    assert.ok(container.volumeMounts.some(({ mountPath }) => mountPath === "/backups"));
    // The variables of the service, so not the owner of the tables.
    assert.match(String(container.envFrom[0]?.secretRef.name), /^control-plane-variables/);
    const claim = one("kubernetes:core/v1:PersistentVolumeClaim").inputs["spec"];
    assert.deepEqual(claim, {
      accessModes: ["ReadWriteOnce"],
      resources: { requests: { storage: "10Gi" } },
      storageClassName: "nfs",
    });
  });

  it("backs up the settings that a restored platform needs", async () => {
    const service = { ...SERVICE, backup: { recipients: [RECIPIENT] } };
    const { one, all } = await run(service);
    const secret = one("kubernetes:core/v1:Secret", "control-plane-platform-settings");
    assert.deepEqual(secret.secrets, ["stringData"]);
    const [[name, text] = ["", ""], ...others] = Object.entries(
      secret.inputs["stringData"] as Record<string, string>,
    );
    assert.deepEqual([name, others], ["Pulumi.staging.yaml", []]);
    const { config } = parse(text) as { config: Record<string, unknown> };
    assert.deepEqual(config["rdev:service"], service);
    const settings = (values: Record<string, unknown>) =>
      parsePlatformConfig(
        Object.fromEntries(
          Object.entries(values).map(([key, value]) => [
            key.replace(/^rdev:/, ""),
            typeof value === "string" ? value : JSON.stringify(value),
          ]),
        ),
      );
    assert.deepEqual(settings(config), settings({ ...PLATFORM, service: JSON.stringify(service) }));
    const { jobTemplate } = one("kubernetes:batch/v1:CronJob").inputs["spec"] as {
      jobTemplate: { spec: { template: { spec: PodSpec } } };
    };
    const [container] = jobTemplate.spec.template.spec.containers;
    const mount = container.volumeMounts.find(({ name: volume }) => volume === "settings");
    assert.deepEqual(mount, {
      name: "settings",
      mountPath: "/app/Pulumi.staging.yaml",
      subPath: "Pulumi.staging.yaml",
      readOnly: true,
    });
    assert.ok(!all.some(({ inputs }) => "data" in inputs && JSON.stringify(inputs).includes(text)));
  });

  it("trusts private authorities besides the public ones, in every pod", async () => {
    const backup = { recipients: [RECIPIENT] };
    const { one } = await run({ ...SERVICE, certificateAuthorities: AUTHORITY, backup });
    const { data } = one("kubernetes:core/v1:ConfigMap", "control-plane-authorities").inputs;
    assert.deepEqual(data, { "ca.crt": AUTHORITY });
    const job = one("kubernetes:batch/v1:CronJob").inputs["spec"] as {
      jobTemplate: { spec: { template: { spec: PodSpec } } };
    };
    for (const { containers, volumes } of [
      podOf(one("kubernetes:apps/v1:Deployment")),
      podOf(one("kubernetes:batch/v1:Job")),
      job.jobTemplate.spec.template.spec,
    ]) {
      const [{ env = [], volumeMounts }] = containers;
      const { mountPath = "" } = volumeMounts.find(({ name }) => name === "authorities") ?? {};
      const variables = Object.fromEntries(env.map(({ name, value }) => [name, value]));
      assert.equal(variables["NODE_EXTRA_CA_CERTS"], `${mountPath}/ca.crt`);
      const needed = workerEnvironment("mark", 100, variables);
      for (const name of ["SSL_CERT_DIR", "GIT_SSL_CAPATH"]) {
        assert.equal(variables[name], mountPath);
        assert.equal(needed[name], mountPath, "a worker gets it, too");
      }
      assert.ok(volumes.some(({ name }) => name === "authorities"));
    }
  });

  it("refuses authorities that are none, and private keys beside them", async () => {
    const broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    const key = "-----BEGIN PRIVATE KEY-----\nplanted\n-----END PRIVATE KEY-----\n";
    for (const [text, problem] of [
      ["", /has no certificate in PEM/],
      [AUTHORITY + broken, /has a malformed certificate, number 2/],
      [AUTHORITY + key, /holds a private key/],
    ] as const) {
      await assert.rejects(
        run({ ...SERVICE, certificateAuthorities: text }),
        (error: Error) => problem.test(error.message) && !error.message.includes("planted"),
      );
    }
  });

  it("is pulled with an account of its own, which no pod gets to know", async () => {
    const account = {
      RDEV_INFRA_PULL_USERNAME: "puller",
      RDEV_INFRA_PULL_PASSWORD: "planted-pull",
    };
    const { one, byType } = await run(SERVICE, account);
    const secret = one("kubernetes:core/v1:Secret", "control-plane-registry").inputs;
    assert.equal(secret["type"], "kubernetes.io/dockerconfigjson");
    const data = secret["stringData"] as Record<string, string>;
    const { auths } = JSON.parse(data[".dockerconfigjson"] ?? "") as { auths: object };
    assert.deepEqual(Object.keys(auths), ["registry.example.test"]);
    for (const type of ["kubernetes:apps/v1:Deployment", "kubernetes:batch/v1:Job"]) {
      assert.deepEqual(podOf(one(type)).imagePullSecrets, [{ name: "registry-pull" }]);
    }
    const others = byType("kubernetes:core/v1:Secret").filter(
      ({ name }) => name !== "control-plane-registry",
    );
    assert.ok(others.length >= 2);
    assert.doesNotMatch(JSON.stringify(others), /planted-pull/);
    const without = podOf((await run(SERVICE)).one("kubernetes:apps/v1:Deployment"));
    assert.ok(!("imagePullSecrets" in without));
  });

  it("leaves the database alone without the owner's password", async () => {
    const { byType } = await run(SERVICE, { DATABASE_OWNER_URL: undefined });
    assert.deepEqual(byType("kubernetes:batch/v1:Job"), []);
    assert.equal(byType("kubernetes:apps/v1:Deployment").length, 1);
  });

  it("gets exactly the rights in deploy/rights, and may not change its own roles", async () => {
    const { byType, one } = await run(SERVICE);
    const roles = byType("kubernetes:rbac.authorization.k8s.io/v1:ClusterRole").filter(({ name }) =>
      name.startsWith("control-plane"),
    );
    const inFile = rolesInFile();
    for (const { metadata, kind, rules } of inFile) {
      const made =
        kind === "Role"
          ? one("kubernetes:rbac.authorization.k8s.io/v1:Role", "control-plane")
          : roles.find(({ name }) => name === `control-plane-${metadata.name}`);
      const given = made?.inputs["rules"] as typeof rules;
      assert.deepEqual(given.slice(0, rules.length), rules, metadata.name);
      for (const { verbs, resourceNames } of given.slice(rules.length)) {
        assert.deepEqual(verbs, ["get"]);
        assert.deepEqual(resourceNames, ["rdev-infra:staging", "rdev-infra-doctor:staging"]);
      }
    }
    assert.equal(roles.length + 1, inFile.length);
    const claim = one("kubernetes:ClusterClaim").inputs;
    assert.deepEqual(claim["namespaces"], ["rdev-infra-service"]);
    const claimed = claim["clusterRoles"] as string[];
    for (const { inputs } of roles) {
      assert.ok(claimed.includes((inputs["metadata"] as { name: string }).name));
    }
  });

  it("is reached through the ingress alone, by TLS, at a name of the platform's zone", async () => {
    const tls = JSON.stringify({ clusterIssuer: "letsencrypt" });
    const config = { ...PLATFORM, service: JSON.stringify(SERVICE), tls };
    const { one } = await run(SERVICE, {}, { config });
    const ingress = one("kubernetes:networking.k8s.io/v1:Ingress").inputs as {
      metadata: { annotations: Record<string, string> };
      spec: { tls: unknown };
    };
    assert.equal(ingress.metadata.annotations["cert-manager.io/cluster-issuer"], "letsencrypt");
    assert.deepEqual(ingress.spec.tls, [{ hosts: [SERVICE.host], secretName: "rdev-infra-tls" }]);
    assert.equal(one("dns:Record").inputs["name"], SERVICE.host);
    const { ingress: from, egress } = one(
      "kubernetes:networking.k8s.io/v1:NetworkPolicy",
      "control-plane",
    ).inputs["spec"] as { ingress: unknown; egress: unknown };
    assert.deepEqual(from, [
      {
        from: ["kube-system", "monitoring"].map((name) => ({
          namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": name } },
        })),
        ports: [{ protocol: "TCP", port: 8080 }],
      },
    ]);
    assert.match(JSON.stringify(egress), /"0\.0\.0\.0\/0","except":\["169\.254\.0\.0\/16"\]/);
  });

  it("makes no DNS record for a host outside of the platform's zone", async () => {
    const { byType } = await run({ ...SERVICE, host: "infra.example.test" });
    assert.deepEqual(byType("dns:Record"), []);
  });

  it("is monitored by the Prometheus Operator where the cluster has its kinds", async () => {
    const type = (kind: string) => `kubernetes:monitoring.coreos.com/v1:${kind}`;
    const monitoringLabels = { release: "prometheus" };
    const both = await run({ ...SERVICE, monitoringLabels });
    for (const kind of ["ServiceMonitor", "PrometheusRule"]) {
      const { labels } = both.one(type(kind)).inputs["metadata"] as { labels: object };
      assert.equal((labels as Record<string, string>)["release"], "prometheus");
    }
    const { selector } = both.one(type("ServiceMonitor")).inputs["spec"] as {
      selector: { matchLabels: Record<string, string> };
    };
    const service = both.one("kubernetes:core/v1:Service").inputs["metadata"] as {
      labels: Record<string, string>;
    };
    for (const [label, value] of Object.entries(selector.matchLabels)) {
      assert.equal(service.labels[label], value);
    }
    for (const served of [[], [SERVICE_MONITOR], [PROMETHEUS_RULE]]) {
      const { byType } = await run(SERVICE, {}, { served });
      const made = ["ServiceMonitor", "PrometheusRule"].filter((k) => byType(type(k)).length > 0);
      assert.deepEqual(
        made,
        served.map((kind) => kind.split("/").at(-1)),
      );
    }
  });

  it("has alerts and a dashboard of metrics that the service exports, and the agent's alerts of the page", async () => {
    const { one } = await run(SERVICE);
    const { data } = one("kubernetes:core/v1:ConfigMap", "control-plane-dashboard").inputs as {
      data: Record<string, string>;
    };
    const sources = await Promise.all(
      ["automation/service/metrics.ts", "automation/audit/outbox.ts"].map((file) =>
        readFile(new URL(`../../${file}`, import.meta.url), "utf8"),
      ),
    );
    const own = [...sources.join("\n").matchAll(/name: "(rdev_\w+)"/g)].map(([, name]) => name);
    const registry = new Registry();
    collectDefaultMetrics({ register: registry });
    const exported = new Set([...own, ...registry.getMetricsAsArray().map(({ name }) => name)]);
    const expressions = [
      data["rdev-infra-staging.json"] ?? "",
      ...serviceAlerts("n").map(({ expression }) => expression),
    ].join("\n");
    const used = [...expressions.matchAll(/\b(?:rdev|process|nodejs)_\w+/g)].map(([name]) => name);
    assert.ok(used.length > 15);
    for (const name of used) {
      assert.ok(exported.has(name.replace(/_seconds_(count|bucket|sum)$/, "_seconds")), name);
    }

    const operations = await readFile(new URL("../../docs/operations.md", import.meta.url), "utf8");
    assert.deepEqual(
      [...operations.matchAll(/^\| `(Rdev\w+)`/gm)].map(([, name]) => name),
      serviceAlerts("n").map(({ name }) => name),
    );
    const page = await readFile(new URL("../../docs/agent.md", import.meta.url), "utf8");
    const documented = [...page.matchAll(/^\|.*\| `([^`]*\bfluentbit_[^`]*)`/gm)];
    const alerts = AGENT_ALERTS.map(({ expression }) => expression);
    assert.equal(documented.length, alerts.length);
    for (const [, expression = ""] of documented) {
      assert.ok(
        alerts.some((alert) => alert.startsWith(expression)),
        expression,
      );
    }
  });

  it("needs no passphrase if a key encrypts the states, and gets what the key needs", async () => {
    const { one } = await run(SERVICE, {
      PULUMI_CONFIG_PASSPHRASE: undefined,
      VAULT_SERVER_URL: "https://bao.test",
      VAULT_SERVER_TOKEN: "planted-bao",
    });
    const secret = one("kubernetes:core/v1:Secret", "control-plane-variables");
    const variables = secret.inputs["stringData"] as Record<string, string>;
    assert.equal(variables["VAULT_SERVER_TOKEN"], "planted-bao");
    assert.ok(!("PULUMI_CONFIG_PASSPHRASE" in variables));
  });

  it("names every variable that is missing, or that a pod cannot use, at once", async () => {
    const more = {
      GITEA_URL: undefined,
      GITEA_TOKEN: undefined,
      GITEA_TEMPLATE_TOKEN: "planted-template token",
      DATABASE_URL: VARIABLES.DATABASE_OWNER_URL,
      PULUMI_BACKEND_URL: "file:///states",
      PULUMI_CONFIG_PASSPHRASE: undefined,
      PULUMI_CONFIG_PASSPHRASE_FILE: "/home/me/passphrase",
      REGISTRY_TOKEN_KEY_FILE: "/home/me/token-key.pem",
      REGISTRY_TOKEN_SECRET: "s".repeat(32),
      RDEV_INFRA_SESSION_KEY: undefined,
      RDEV_INFRA_PULL_USERNAME: "puller",
      RDEV_INFRA_WEBHOOK_SECRETS: JSON.stringify({ other: WEBHOOK_SECRET }),
    };
    const mails = [{ name: "team", to: ["ada@example.test"] }];
    const notifications = { ...RECEIVERS, mails, from: "rdev@example.test" };
    const service = { ...SERVICE, identity: IDENTITY, notifications };
    await assert.rejects(run(service, more), (error: Error) => {
      for (const name of [
        "RDEV_CONNECTION",
        "GITEA_TOKEN is missing",
        "GITEA_TEMPLATE_TOKEN contains white space",
        "DATABASE_OWNER_URL is the same",
        "PULUMI_BACKEND_URL",
        "PULUMI_CONFIG_PASSPHRASE",
        "REGISTRY_TOKEN_KEY_FILE",
        "RDEV_INFRA_SESSION_KEY",
        "RDEV_INFRA_PULL_USERNAME and RDEV_INFRA_PULL_PASSWORD belong to one account",
        'webhooks: "ops" has no secret in RDEV_INFRA_WEBHOOK_SECRETS',
        'no webhook has the name "other"',
        "mails: needs the variable SMTP_URL",
      ]) {
        assert.ok(error.message.includes(name), `${name}: ${error.message}`);
      }
      assert.equal(error.message.split("GITEA_URL is missing").length, 2, "it is named once");
      assert.doesNotMatch(error.message, /planted-/);
      assert.ok(!error.message.includes(WEBHOOK_SECRET));
      return true;
    });
  });
});

describe("the setting service", () => {
  const problemsOf = (service: object): string => {
    try {
      parsePlatformConfig({ ...PLATFORM, service: JSON.stringify(service) });
      return "";
    } catch (error) {
      return String(error);
    }
  };

  it("names every problem at once", () => {
    const text = problemsOf({
      host: "Infra",
      replicas: 0,
      trustedProxies: ["everywhere"],
      identity: { people: { issuer: "http://git.example.test", clientId: "c" } },
      backup: { recipients: ["me@example.test"], schedule: "daily", storageClass: "NFS" },
      replica: 3,
    });
    for (const part of [
      "rdev:service.image is missing",
      "rdev:service.host: is not a lower-case DNS name",
      "rdev:service.replicas",
      "rdev:service.trustedProxies.0: is not a network or an address",
      "rdev:service.identity.people.issuer: is not a URL that begins with https://",
      "rdev:service.backup.recipients.0: is not an age recipient (age1…)",
      "rdev:service.backup.schedule: is not a schedule of five fields",
      "rdev:service.backup.storageClass: is not a name of a Kubernetes object",
      "rdev:service.replica is not a setting",
    ]) {
      assert.ok(text.includes(part), `${part}\n${text}`);
    }
  });

  it("refuses a sign-in at another address than the host's", () => {
    assert.equal(problemsOf({ ...SERVICE, identity: IDENTITY }), "");
    const { people } = IDENTITY;
    const signIn = { publicUrl: "https://infra.example.test" };
    assert.match(
      problemsOf({ ...SERVICE, identity: { people: { ...people, signIn } } }),
      /rdev:service\.identity\.people\.signIn\.publicUrl: is not https:\/\/ with the service's host/,
    );
  });

  it("refuses a receiver of notifications at a host that could be a project's", () => {
    const notifications = {
      webhooks: [{ name: "ops", url: "https://hooks.staging.example.test/" }],
    };
    assert.match(
      problemsOf({ ...SERVICE, notifications }),
      /rdev:service.notifications: the host of "ops" could be a project's host name/,
    );
  });

  it("refuses a host that could be a project's, because the project would serve its visitors", () => {
    const host = `infra.${PLATFORM.domain}`;
    assert.match(problemsOf({ ...SERVICE, host }), /could be a project's host name/);
    for (const own of [SERVICE.host, "infra.example.test", `a.b.${PLATFORM.domain}`]) {
      assert.equal(problemsOf({ ...SERVICE, host: own }), "");
    }
  });
});
