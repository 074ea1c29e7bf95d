import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import {
  type ApiException,
  AppsV1Api,
  CoreV1Api,
  KubeConfig,
  KubernetesObjectApi,
  PatchStrategy,
  RbacAuthorizationV1Api,
  setHeaderOptions,
  type V1PodSpec,
} from "@kubernetes/client-node";
import { ENVIRONMENT_LABEL, environmentBinding, ownershipLabels } from "../../core/labels.ts";
import { until } from "../../sandbox/process.ts";
import { citadelLabelsOf } from "../../sandbox/proofs/project.ts";
import { writeKubeconfig } from "../support/kubeconfig.ts";
import { runningSandbox } from "../support/sandbox.ts";
import { platformStage } from "../support/stage.ts";
import { uniqueSlug } from "../support/unique-slug.ts";

const MERGE = setHeaderOptions("Content-Type", PatchStrategy.MergePatch);
const OURS = randomUUID();
const FOREIGN = randomUUID();

/** Manifests of a pod and of every workload, in a namespace and with an environment label. */
const KINDS = [
  "Pod",
  "ReplicationController",
  "Deployment",
  "StatefulSet",
  "DaemonSet",
  "ReplicaSet",
  "Job",
  "CronJob",
];

function object(kind: string, namespace: string, environment?: string) {
  const labels = {
    app: "x",
    ...(environment !== undefined && { [ENVIRONMENT_LABEL]: environment }),
  };
  const metadata = { name: "x", namespace };
  const pod = {
    containers: [{ name: "x", image: "registry.invalid/x:1" }],
    ...(["Job", "CronJob"].includes(kind) && { restartPolicy: "Never" }),
  };
  const template = { metadata: { labels }, spec: pod };
  const apps = { selector: { matchLabels: { app: "x" } }, template };
  switch (kind) {
    case "Pod":
      return { apiVersion: "v1", kind, metadata: { ...metadata, labels }, spec: pod };
    case "ReplicationController":
      return { apiVersion: "v1", kind, metadata, spec: { selector: { app: "x" }, template } };
    case "Job":
      return { apiVersion: "batch/v1", kind, metadata, spec: { template } };
    case "CronJob": {
      const spec = { schedule: "0 0 1 1 *", jobTemplate: { spec: { template } } };
      return { apiVersion: "batch/v1", kind, metadata, spec };
    }
    case "StatefulSet":
      return { apiVersion: "apps/v1", kind, metadata, spec: { ...apps, serviceName: "x" } };
    default:
      return { apiVersion: "apps/v1", kind, metadata, spec: apps };
  }
}

describe("EnvironmentPolicy", function () {
  this.timeout(400_000);
  const namespaces: string[] = [];
  const config = new KubeConfig();
  let core: CoreV1Api;
  let apps: AppsV1Api;
  let objects: KubernetesObjectApi;
  /** The platform's own environment. */
  let platform: string;

  /** Creates a namespace with labels, and returns its name. */
  const namespace = async (labels: Record<string, string> = {}) => {
    const name = uniqueSlug();
    namespaces.push(name);
    await core.createNamespace({ body: { metadata: { name, labels } } });
    await until(() => core.readNamespacedServiceAccount({ name: "default", namespace: name }));
    return name;
  };
  const ofProject = (environment?: string) =>
    namespace({ ...ownershipLabels("x"), ...environmentBinding(environment) });
  const label = (name: string, value: string | null) =>
    core.patchNamespace(
      { name, body: { metadata: { labels: { [ENVIRONMENT_LABEL]: value } } } },
      MERGE,
    );

  const make = (kind: string, where: string, environment?: string) =>
    objects.create(object(kind, where, environment));
  /** Whether the server would admit an object (dry run). */
  const isAdmitted = async (kind: string, where: string, environment?: string) =>
    (await refusal(objects.create(object(kind, where, environment), undefined, "All"))) === "";

  before(async function () {
    this.timeout(400_000);
    await platformStage();
    const { env } = runningSandbox();
    const api = { namespace: "rdev", name: "rdev-api", kind: "Deployment" };
    platform = (await citadelLabelsOf({ env }, api))[ENVIRONMENT_LABEL] ?? "";
    config.loadFromDefault();
    core = config.makeApiClient(CoreV1Api);
    apps = config.makeApiClient(AppsV1Api);
    objects = KubernetesObjectApi.makeApiClient(config);
    // A policy takes effect shortly after it was created.
    const unbound = await namespace();
    await until(async () => {
      if (await isAdmitted("Pod", unbound, FOREIGN)) throw new Error("not in force yet");
    });
  });

  after(() => Promise.all(namespaces.map((name) => core.deleteNamespace({ name }))));

  it("requires pods in a project's namespace to name exactly its environment", async () => {
    const bound = await ofProject(OURS);
    for (const kind of KINDS) {
      assert.ok(await isAdmitted(kind, bound, OURS), kind);
      for (const other of [FOREIGN, platform, OURS.toUpperCase(), "my-app", "", undefined]) {
        assert.ok(!(await isAdmitted(kind, bound, other)), `${kind}: ${String(other)}`);
      }
    }
  });

  it("admits the pod that docs/operations.md runs in a project's namespace", async () => {
    const page = await readFile(new URL("../../docs/operations.md", import.meta.url), "utf8");
    const [, overrides = ""] = /kubectl .*--overrides '(.*)'/.exec(page) ?? [];
    const { spec } = JSON.parse(overrides) as { spec: V1PodSpec };
    const containers = spec.containers.map((one) => ({ ...one, image: "registry.invalid/x:1" }));
    const where = await namespace({
      ...ownershipLabels("x"),
      ...environmentBinding(OURS),
      "pod-security.kubernetes.io/enforce": "restricted",
    });
    const plain = object("Pod", where, OURS);
    const message = await refusal(objects.create(plain, undefined, "All"));
    assert.match(message, /violates PodSecurity "restricted/);
    const pod = { ...plain, spec: { ...spec, containers } };
    assert.equal(await refusal(objects.create(pod, undefined, "All")), "");
  });

  it("permits all other pods to name the platform's environment or none", async () => {
    const [unbound, agents] = [await namespace(), "observability"];
    for (const where of [unbound, agents]) {
      for (const kind of KINDS) {
        for (const allowed of [undefined, platform]) {
          assert.ok(
            await isAdmitted(kind, where, allowed),
            `${where}, ${kind}: ${String(allowed)}`,
          );
        }
        for (const other of [OURS, "my-app", platform.toUpperCase()]) {
          assert.ok(!(await isAdmitted(kind, where, other)), `${where}, ${kind}: ${other}`);
        }
      }
    }
  });

  it("permits no environment for pods of a project without Citadel", async () => {
    const none = await ofProject();
    for (const kind of KINDS) {
      assert.ok(await isAdmitted(kind, none), kind);
      for (const other of [OURS, platform]) {
        assert.ok(!(await isAdmitted(kind, none, other)), `${kind}: ${other}`);
      }
    }
  });

  it("names the label, the value and the solution in its message", async () => {
    const [bound, unbound, none] = [await ofProject(OURS), await namespace(), await ofProject()];
    const says = async (where: string, ...parts: string[]) => {
      const message = await refusal(make("Deployment", where, FOREIGN));
      for (const part of [ENVIRONMENT_LABEL, where, `instead got "${FOREIGN}"`, ...parts]) {
        assert.ok(message.includes(part), message);
      }
    };
    await says(bound, `must be ${OURS}, the environment of the namespace`, "in the template");
    await says(unbound, `must be left out, or ${platform}`);
    await says(none, "must be left out: the namespace has no environment");
  });

  it("applies to updates, to a pod's status and to bindings", async () => {
    const bound = await ofProject(OURS);
    await make("Deployment", bound, OURS);
    const deployment = { namespace: bound, name: "x" };
    for (const value of [FOREIGN, platform, null]) {
      const metadata = { labels: { [ENVIRONMENT_LABEL]: value } };
      const body = { spec: { template: { metadata } } };
      assert.match(
        await refusal(apps.patchNamespacedDeployment({ ...deployment, body }, MERGE)),
        /Forbid|forbid/,
      );
    }

    const unscheduled = object("Pod", bound, OURS) as { spec: object };
    await objects.create({
      ...unscheduled,
      spec: { ...unscheduled.spec, nodeSelector: { planet: "mars" } },
    } as never);
    const pod = { namespace: bound, name: "x" };
    for (const value of [FOREIGN, null]) {
      const body = { metadata: { labels: { [ENVIRONMENT_LABEL]: value } } };
      assert.match(await refusal(core.patchNamespacedPod({ ...pod, body }, MERGE)), /instead got/);
      assert.match(
        await refusal(core.patchNamespacedPodStatus({ ...pod, body }, MERGE)),
        /instead got/,
      );
    }
    const { items } = await core.listNode();
    const target = { kind: "Node", name: items[0]?.metadata?.name };
    const bind = (labels: Record<string, string>) =>
      core.createNamespacedPodBinding({
        ...pod,
        body: { metadata: { name: "x", labels }, target },
      });
    assert.match(await refusal(bind({ [ENVIRONMENT_LABEL]: FOREIGN })), new RegExp(FOREIGN));
    assert.match(await refusal(bind({ [ENVIRONMENT_LABEL]: "" })), /instead got ""/);
    // The client cannot parse the answer to this call, which is a Status.
    await bind({}).catch(() => undefined);
    assert.equal((await core.readNamespacedPod(pod)).spec?.nodeName, target.name);
    assert.equal((await core.readNamespacedPod(pod)).metadata?.labels?.[ENVIRONMENT_LABEL], OURS);
  });

  it("does not block existing objects when a namespace's environment changes", async () => {
    const bound = await ofProject(OURS);
    const where = { namespace: bound, name: "x" };
    await make("Deployment", bound, OURS);
    await make("Job", bound, OURS);
    await available(where);
    // The controller may not create further pods with the old environment.
    await until(async () => assert.equal((await podsOf(bound, "Job")).length, 1));
    await label(bound, FOREIGN);
    await until(async () => assert.ok(await isAdmitted("Pod", bound, FOREIGN)));
    assert.ok(!(await isAdmitted("Pod", bound, OURS)));

    // The rollout to the new environment scales the old ReplicaSet down and deletes its pods.
    const metadata = { labels: { [ENVIRONMENT_LABEL]: FOREIGN } };
    await apps.patchNamespacedDeployment(
      { ...where, body: { spec: { template: { metadata } } } },
      MERGE,
    );
    await until(async () => {
      const running = await podsOf(bound, "ReplicaSet");
      assert.deepEqual(
        running.map(({ metadata }) => metadata?.labels?.[ENVIRONMENT_LABEL]),
        [FOREIGN],
      );
    });
    await until(async () => {
      const { status } = (await objects.read(object("Job", bound))) as {
        status?: { succeeded?: number };
      };
      assert.equal(status?.succeeded, 1);
    });
  });

  it("does not block a project of an older version before its next up", async () => {
    const old = await ofProject(OURS);
    const where = { namespace: old, name: "x" };
    await make("Deployment", old, OURS);
    await available(where);
    await label(old, null);
    await until(async () => assert.ok(await isAdmitted("Pod", old)));

    const pods = async () => (await core.listNamespacedPod({ namespace: old })).items;
    const [first] = await pods();
    await core.deleteNamespacedPod({ namespace: old, name: first?.metadata?.name ?? "" });
    await until(async () => {
      const [next] = await pods();
      assert.ok(next && next.metadata?.name !== first?.metadata?.name);
    });
    const spec = { containers: [{ name: "x", image: "registry.invalid/x:2" }] };
    await apps.patchNamespacedDeployment(
      { ...where, body: { spec: { template: { spec } } } },
      MERGE,
    );
    await until(async () => {
      const { status } = await apps.readNamespacedDeployment(where);
      assert.deepEqual(
        [status?.observedGeneration, status?.updatedReplicas, status?.replicas],
        [2, 1, 1],
      );
    });

    const metadata = { labels: { [ENVIRONMENT_LABEL]: FOREIGN } };
    const body = { spec: { template: { metadata } } };
    assert.match(
      await refusal(apps.patchNamespacedDeployment({ ...where, body }, MERGE)),
      /instead got/,
    );
    for (const kind of KINDS) assert.ok(!(await isAdmitted(kind, old, FOREIGN)), kind);
  });

  it("ignores owner references of a pod", async () => {
    const old = await namespace(ownershipLabels("x"));
    const ownerReferences = [
      { apiVersion: "apps/v1", kind: "ReplicaSet", name: "x", uid: randomUUID(), controller: true },
    ];
    for (const kind of KINDS) {
      const made = object(kind, old, FOREIGN);
      const forged = { ...made, metadata: { ...made.metadata, ownerReferences } };
      assert.match(await refusal(objects.create(forged, undefined, "All")), /instead got/, kind);
    }
  });

  describe("for namespaces", () => {
    let outsider: CoreV1Api;
    const account = uniqueSlug();

    // A user with all permissions for namespaces and pods, and no others.
    before(async () => {
      const rbac = config.makeApiClient(RbacAuthorizationV1Api);
      const roleRef = { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: account };
      const subjects = [{ kind: "ServiceAccount", name: account, namespace: "default" }];
      const resources = ["namespaces", "namespaces/status", "namespaces/finalize", "pods"];
      const rules = [{ apiGroups: [""], resources, verbs: ["*"] }];
      const metadata = { name: account };
      await core.createNamespacedServiceAccount({ namespace: "default", body: { metadata } });
      await rbac.createClusterRole({ body: { metadata, rules } });
      await rbac.createClusterRoleBinding({ body: { metadata, roleRef, subjects } });
      const { status } = await core.createNamespacedServiceAccountToken({
        name: account,
        namespace: "default",
        body: { spec: { audiences: [] } },
      });
      const theirs = new KubeConfig();
      theirs.loadFromFile(await writeKubeconfig({ token: status?.token ?? "" }));
      outsider = theirs.makeApiClient(CoreV1Api);
      await until(() => outsider.listNamespace());
    });

    after(async () => {
      const rbac = config.makeApiClient(RbacAuthorizationV1Api);
      await rbac.deleteClusterRoleBinding({ name: account });
      await rbac.deleteClusterRole({ name: account });
      await core.deleteNamespacedServiceAccount({ name: account, namespace: "default" });
    });

    const patch = (name: string, labels: Record<string, string | null>) => {
      const body = { metadata: { labels } };
      return [
        () => outsider.patchNamespace({ name, body }, MERGE),
        () => outsider.patchNamespaceStatus({ name, body }, MERGE),
      ];
    };

    it("protects environment and project from users who may only label namespaces", async () => {
      const bound = await ofProject(OURS);
      const own = uniqueSlug();
      namespaces.push(own);
      await outsider.createNamespace({ body: { metadata: { name: own, labels: { team: "a" } } } });
      for (const labels of [environmentBinding(FOREIGN), ownershipLabels("x")]) {
        const body = { metadata: { name: uniqueSlug(), labels: { ...labels } } };
        assert.match(await refusal(outsider.createNamespace({ body })), /Only who may update/);
        for (const change of patch(own, labels)) {
          assert.match(await refusal(change()), /Only who may update/);
        }
      }
      for (const value of [FOREIGN, "", null]) {
        for (const change of patch(bound, { [ENVIRONMENT_LABEL]: value })) {
          assert.match(await refusal(change()), /Only who may update/);
        }
      }
      for (const name of [own, bound]) {
        for (const change of patch(name, { team: "b" })) await change();
      }
      const { metadata } = await core.readNamespace({ name: bound });
      assert.equal(metadata?.labels?.[ENVIRONMENT_LABEL], OURS);
    });

    it("names the label, the value, the user and the solution in its message", async () => {
      const own = await namespace();
      const message = await refusal(patch(own, environmentBinding(FOREIGN))[0]?.());
      for (const part of [
        `The label ${ENVIRONMENT_LABEL} of the namespace ${own}`,
        `instead got "${FOREIGN}" from system:serviceaccount:default:${account}`,
        "Leave the label as it is",
      ]) {
        assert.ok(message.includes(part), message);
      }
    });
  });

  const podsOf = async (space: string, owner: string) => {
    const { items } = await core.listNamespacedPod({ namespace: space });
    return items.filter(({ metadata }) => metadata?.ownerReferences?.[0]?.kind === owner);
  };

  const available = (where: { namespace: string; name: string }) =>
    until(async () => {
      const { status } = await apps.readNamespacedDeployment(where);
      assert.equal(status?.availableReplicas, 1);
    });
});

/** The server's message if it refuses; empty otherwise. */
async function refusal(request: Promise<unknown> | undefined): Promise<string> {
  try {
    await request;
    return "";
  } catch (error) {
    const { code, body } = error as ApiException<unknown>;
    assert.equal(code, 403, String(error));
    const { message } = (typeof body === "string" ? JSON.parse(body) : body) as { message: string };
    return message;
  }
}
