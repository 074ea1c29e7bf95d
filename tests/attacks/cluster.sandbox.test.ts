import assert from "node:assert/strict";
import {
  AppsV1Api,
  CoreV1Api,
  KubeConfig,
  KubernetesObjectApi,
  PatchStrategy,
  setHeaderOptions,
} from "@kubernetes/client-node";
import { until } from "../../sandbox/process.ts";
import { kubeConfig } from "../../sandbox/proofs/project.ts";
import { writeKubeconfig } from "../support/kubeconfig.ts";
import { refused } from "../support/errors.ts";
import { rolledOut } from "../support/rolled-out.ts";
import { projects, succeeded, unchanged, type Project } from "../support/stage.ts";

const STRATEGIC = setHeaderOptions("Content-Type", PatchStrategy.StrategicMergePatch);

/** Changes that a pipeline tries with its token, and the field in the server's message. */
const ATTEMPTS: readonly (readonly [title: string, spec: object, field: string])[] = [
  ["200 replicas, which exceed the quota", { replicas: 200 }, "spec.replicas"],
  [
    "no limits",
    {
      template: {
        spec: app({
          resources: { limits: { cpu: "0", memory: "0" }, requests: { cpu: "0", memory: "0" } },
        }),
      },
    },
    "container app",
  ],
  [
    "a command of its own",
    { template: { spec: app({ command: ["sh", "-c", "env"] }) } },
    "container app",
  ],
  [
    "root in its container",
    { template: { spec: app({ securityContext: { runAsUser: 0 } }) } },
    "container app",
  ],
  ["a specific node", { template: { spec: { nodeName: "node-0" } } }, "nodeName"],
  ["a specific scheduler", { template: { spec: { schedulerName: "mine" } } }, "schedulerName"],
  [
    "priority over every other pod",
    { template: { spec: { priorityClassName: "system-node-critical" } } },
    "priorityClassName",
  ],
  [
    "a second container",
    { template: { spec: { containers: [{ name: "sidecar", image: "evil:1" }] } } },
    "container sidecar",
  ],
  [
    "an init container",
    { template: { spec: { initContainers: [{ name: "first", image: "evil:1" }] } } },
    "initContainers",
  ],
  [
    "its own ServiceAccount, with the token mounted",
    {
      template: { spec: { serviceAccountName: "deploy", automountServiceAccountToken: true } },
    },
    "serviceAccountName",
  ],
  ["a volume", { template: { spec: { volumes: [{ name: "x", emptyDir: {} }] } } }, "volumes"],
  [
    "the service label of another project",
    { template: { metadata: { labels: { "citadel.io/service": "neighbour" } } } },
    "spec.template.metadata",
  ],
  ["a paused rollout", { paused: true }, "spec.paused"],
];

function app(change: object) {
  return { containers: [{ name: "app", ...change }] };
}

describe("a project's pipeline in the cluster", function () {
  this.timeout(300_000);
  const project = projects();
  let one: Project;
  let pipeline: AppsV1Api;
  let admin: KubeConfig;

  before(async () => {
    one = await project();
    succeeded(await one.up());
    admin = kubeConfig(one.place);
    const secret = await admin
      .makeApiClient(CoreV1Api)
      .readNamespacedSecret({ namespace: one.slug, name: "deploy-token" });
    const token = Buffer.from(secret.data?.["token"] ?? "", "base64").toString();
    const config = new KubeConfig();
    config.loadFromFile(await writeKubeconfig({ token }));
    pipeline = config.makeApiClient(AppsV1Api);
  });

  const where = () => ({ namespace: one.slug, name: one.slug });
  const live = () => admin.makeApiClient(AppsV1Api).readNamespacedDeployment(where());
  const patch = (body: object, fieldManager = "kubectl-set") =>
    pipeline.patchNamespacedDeployment({ ...where(), body, fieldManager }, STRATEGIC);

  it("can set the image and the change cause, like kubectl set image", async () => {
    await patch({
      metadata: { annotations: { "kubernetes.io/change-cause": "build 7" } },
      spec: { template: { spec: app({ image: "registry.example.test/built:7" }) } },
    });
    const { spec } = await live();
    assert.equal(spec?.template.spec?.containers[0]?.image, "registry.example.test/built:7");
    await rolledOut(one.place);
    succeeded(await one.up());
    assert.equal(
      (await live()).spec?.template.spec?.containers[0]?.image,
      "registry.example.test/built:7",
    );
    unchanged(await one.preview());
  });

  for (const [title, spec, field] of ATTEMPTS) {
    it(`cannot have ${title}`, async () => {
      const before = (await live()).spec;
      const message = await refused(patch({ spec }));
      assert.match(message, /ValidatingAdmissionPolicy '(deploy|placement)\.staging\.rdev\.io'/);
      assert.ok(message.includes(field), message);
      assert.deepEqual((await live()).spec, before);
    });
  }

  it("cannot combine another change with a new image", async () => {
    const spec = app({ image: "registry.example.test/evil:1", args: ["--evil"] });
    assert.match(await refused(patch({ spec: { template: { spec } } })), /the container app/);
  });

  it("cannot add labels, annotations, owners or finalizers with any field manager", async () => {
    const changes = {
      labels: { team: "mine" },
      annotations: { "pulumi.com/skipAwait": "true" },
      finalizers: ["example.test/held"],
      ownerReferences: [{ apiVersion: "v1", kind: "Secret", name: "x", uid: "x" }],
    };
    for (const [key, value] of Object.entries(changes)) {
      const message = await refused(patch({ metadata: { [key]: value } }, "pulumi-kubernetes"));
      assert.match(message, /may change the image/);
      assert.ok(message.includes(`metadata.${key}`), message);
    }
  });

  it("cannot scale, delete or create a Deployment, or read another namespace's", async () => {
    const forbidden = [
      () =>
        pipeline.patchNamespacedDeploymentScale(
          { ...where(), body: { spec: { replicas: 9 } } },
          STRATEGIC,
        ),
      () => pipeline.deleteNamespacedDeployment(where()),
      () =>
        pipeline.createNamespacedDeployment({
          namespace: one.slug,
          body: { metadata: { name: "x" } },
        }),
      () => pipeline.readNamespacedDeployment({ namespace: "rdev", name: "rdev-api" }),
    ];
    for (const call of forbidden) assert.match(await refused(call()), /cannot \w+ resource/);
  });
});

describe("an object in a project's namespace", function () {
  this.timeout(300_000);
  const project = projects();
  let one: Project;
  let admin: KubeConfig;
  let objects: KubernetesObjectApi;

  before(async () => {
    one = await project();
    succeeded(await one.up());
    admin = kubeConfig(one.place);
    objects = KubernetesObjectApi.makeApiClient(admin);
  });

  const container = (more: object = {}) => ({
    name: "x",
    image: "registry.example.test/x:1",
    securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ["ALL"] } },
    ...more,
  });
  const podSpec = (more: object = {}) => ({
    securityContext: {
      runAsNonRoot: true,
      runAsUser: 1,
      seccompProfile: { type: "RuntimeDefault" },
    },
    containers: [container()],
    ...more,
  });
  const make = (kind: string, body: object, apiVersion = "v1") =>
    objects.create(
      { apiVersion, kind, metadata: { name: "x", namespace: one.slug, labels: labels() }, ...body },
      undefined,
      "All",
    );
  /** The labels that the namespace's environment requires of its pods. */
  const labels = () => ({ app: "x", "citadel.io/environment": one.stage().tenantId });
  const workload = (spec: object) => ({
    spec: {
      selector: { matchLabels: { app: "x" } },
      template: { metadata: { labels: labels() }, spec },
    },
  });

  it("cannot choose its node, scheduler or priority", async () => {
    await make("Pod", { spec: podSpec() });
    await make("Deployment", workload(podSpec()), "apps/v1");
    for (const [field, value] of [
      ["nodeName", "node-0"],
      ["schedulerName", "mine"],
      ["priorityClassName", "system-cluster-critical"],
    ] as const) {
      const spec = podSpec({ [field]: value });
      const expected = new RegExp(`${field} must be left out[\\s\\S]*instead got "${value}"`);
      assert.match(await refused(make("Pod", { spec })), expected);
      for (const kind of ["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"]) {
        const more = kind === "StatefulSet" ? { serviceName: "x" } : {};
        const { spec: body } = workload(spec);
        const made = make(kind, { spec: { ...body, ...more } }, "apps/v1");
        assert.match(await refused(made), expected, kind);
      }
      const template = {
        metadata: { labels: labels() },
        spec: { ...spec, restartPolicy: "Never" },
      };
      assert.match(await refused(make("Job", { spec: { template } }, "batch/v1")), expected);
      const cron = { schedule: "0 0 1 1 *", jobTemplate: { spec: { template } } };
      assert.match(await refused(make("CronJob", { spec: cron }, "batch/v1")), expected);
    }
  });

  it("must have limits between the minimum and the quota", async () => {
    const limited = (limits: object, requests: object = limits) =>
      make("Pod", {
        spec: podSpec({ containers: [container({ resources: { limits, requests } })] }),
      });
    assert.match(await refused(limited({ cpu: "0" })), /minimum cpu usage per Container is 1m/);
    assert.match(
      await refused(limited({ memory: "0" })),
      /minimum memory usage per Container is 1Mi/,
    );
    assert.match(
      await refused(limited({ "ephemeral-storage": "0" })),
      /minimum ephemeral-storage usage per Container is 1Mi/,
    );
    assert.match(await refused(limited({ cpu: "3" }, { cpu: "1m" })), /maximum cpu usage/);
    assert.match(
      await refused(limited({ "ephemeral-storage": "50Gi" }, { "ephemeral-storage": "1Mi" })),
      /exceeded quota: project, requested: limits.ephemeral-storage=50Gi/,
    );
  });

  it("counts against the quota, and cannot be a Service with a port on the nodes", async () => {
    const core = admin.makeApiClient(CoreV1Api);
    const quota = { namespace: one.slug, name: "project" };
    await until(async () => {
      const { status } = await core.readNamespacedResourceQuota(quota);
      assert.equal(status?.used?.["pods"], "1");
    });
    const { status } = await core.readNamespacedResourceQuota(quota);
    assert.deepEqual(status?.hard, {
      "limits.cpu": "2",
      "limits.memory": "1Gi",
      "limits.ephemeral-storage": "40Gi",
      pods: "40",
      persistentvolumeclaims: "4",
      "requests.storage": "10Gi",
      "services.loadbalancers": "0",
      "services.nodeports": "0",
    });
    const claim = { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "11Gi" } } };
    assert.match(
      await refused(make("PersistentVolumeClaim", { spec: claim })),
      /exceeded quota: project, requested: requests.storage=11Gi/,
    );
    for (const type of ["NodePort", "LoadBalancer"]) {
      const spec = { type, selector: { app: "x" }, ports: [{ port: 80 }] };
      assert.match(await refused(make("Service", { spec })), /exceeded quota: project/);
    }
  });
});
