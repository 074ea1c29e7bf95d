import assert from "node:assert/strict";
import {
  AppsV1Api,
  AutoscalingV2Api,
  CoreV1Api,
  KubernetesObjectApi,
  NetworkingV1Api,
  PatchStrategy,
  setHeaderOptions,
} from "@kubernetes/client-node";
import { kubeConfig } from "../../sandbox/proofs/project.ts";
import { refused } from "../support/errors.ts";
import { rolledOut } from "../support/rolled-out.ts";
import { projects, succeeded, unchanged, type Project } from "../support/stage.ts";

const STRATEGIC = setHeaderOptions("Content-Type", PatchStrategy.StrategicMergePatch);
const APPLY = setHeaderOptions("Content-Type", PatchStrategy.ServerSideApply);

describe("a change by others in the cluster", function () {
  this.timeout(600_000);
  const project = projects();
  let one: Project;
  let apps: AppsV1Api;

  before(async () => {
    one = await project();
    succeeded(await one.up());
    apps = kubeConfig(one.place).makeApiClient(AppsV1Api);
  });

  const where = () => ({ namespace: one.slug, name: one.slug });
  const live = () => apps.readNamespacedDeployment(where());
  /** The spec, with the template of the pods and their number. */
  const spec = async () => (await live()).spec;
  const takenBack = async () => (await live()).metadata?.annotations?.["rdev.io/taken-back"] ?? "";

  const scale = (replicas: number) =>
    apps.patchNamespacedDeploymentScale(
      { ...where(), body: { spec: { replicas } }, fieldManager: "kubectl" },
      STRATEGIC,
    );
  const patch = (body: object, fieldManager: string) =>
    apps.patchNamespacedDeployment({ ...where(), body, fieldManager }, STRATEGIC);
  const apply = (body: object, fieldManager: string) =>
    apps.patchNamespacedDeployment(
      {
        ...where(),
        body: { apiVersion: "apps/v1", kind: "Deployment", metadata: where(), ...body },
        fieldManager,
        force: true,
      },
      APPLY,
    );
  const inPod = (pod: object) => ({ spec: { template: { spec: pod } } });

  const CHANGES: readonly (readonly [title: string, change: () => Promise<unknown>])[] = [
    ["kubectl scale", () => scale(3)],
    [
      "kubectl edit of the limits and the grace period",
      () =>
        patch(
          inPod({
            terminationGracePeriodSeconds: 5,
            containers: [{ name: "app", resources: { limits: { cpu: "1500m" } } }],
          }),
          "kubectl-edit",
        ),
    ],
    [
      "another program adds a sidecar, a finalizer and a node selector",
      () =>
        patch(
          {
            metadata: { finalizers: ["example.test/held"] },
            ...inPod({
              nodeSelector: { "kubernetes.io/os": "linux" },
              containers: [
                {
                  name: "sidecar",
                  image: "registry.example.test/evil:1",
                  securityContext: {
                    allowPrivilegeEscalation: false,
                    capabilities: { drop: ["ALL"] },
                  },
                },
              ],
            }),
          },
          "node-fetch",
        ),
    ],
    [
      "another ServiceAccount with its token mounted",
      () =>
        patch(inPod({ serviceAccountName: "deploy", automountServiceAccountToken: true }), "curl"),
    ],
    ["helm apply", () => apply({ spec: { replicas: 2, minReadySeconds: 7 } }, "helm")],
  ];

  for (const [title, change] of CHANGES) {
    it(`is reverted by the next up only: ${title}`, async () => {
      const before = await spec();
      await change();
      assert.notDeepEqual(await spec(), before);

      const planned = succeeded(await one.preview());
      assert.equal(planned.changes.update, 2);
      succeeded(await one.up());
      const after = await live();
      assert.deepEqual(after.spec, before);
      assert.equal(after.metadata?.finalizers, undefined);
      unchanged(await one.up());
    });
  }

  it("is also reverted after a refresh, which does not fail", async () => {
    const before = await spec();
    await scale(4);
    succeeded(await one.refresh());
    succeeded(await one.preview());
    succeeded(await one.up());
    assert.deepEqual(await spec(), before);
    unchanged(await one.refresh());
    unchanged(await one.up());
  });

  it("is recorded on the Deployment with the manager of each field", async () => {
    await scale(2);
    succeeded(await one.up());
    await scale(2);
    succeeded(await one.up());
    assert.equal((await spec())?.replicas, 1);
    assert.match(await takenBack(), /^in generation \d+, kubectl: spec\.replicas$/);
  });

  it("is kept if it belongs to others: an image, a restart, labels, annotations", async () => {
    await patch(
      {
        metadata: { labels: { team: "a" }, annotations: { "example.test/note": "x" } },
        spec: {
          template: {
            metadata: {
              annotations: { "kubectl.kubernetes.io/restartedAt": "2026-11-26T10:00:00Z" },
            },
          },
        },
      },
      "team-tool",
    );
    await patch(
      inPod({ containers: [{ name: "app", image: "registry.example.test/built:9" }] }),
      "kubectl-set",
    );
    await rolledOut(one.place);
    succeeded(await one.up());
    succeeded(await one.up({ config: { sizes: { cpuLimit: "600m" } } }));
    const { metadata, spec: now } = await live();
    assert.equal(metadata?.labels?.["team"], "a");
    assert.equal(metadata.annotations?.["example.test/note"], "x");
    assert.deepEqual(now?.template.metadata?.annotations, {
      "kubectl.kubernetes.io/restartedAt": "2026-11-26T10:00:00Z",
    });
    assert.equal(now?.template.spec?.containers[0]?.image, "registry.example.test/built:9");
    assert.equal(now.template.spec.containers[0].resources?.limits?.["cpu"], "600m");
    unchanged(await one.up());
  });

  it("of replicas by an autoscaler is kept until the autoscaler is deleted", async () => {
    const scaler = kubeConfig(one.place).makeApiClient(AutoscalingV2Api);
    const { namespace, name } = where();
    await scaler.createNamespacedHorizontalPodAutoscaler({
      namespace,
      body: {
        metadata: { name },
        spec: {
          scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name },
          minReplicas: 2,
          maxReplicas: 3,
        },
      },
    });
    await scale(2);
    succeeded(await one.up());
    succeeded(await one.up({ config: { sizes: { cpuLimit: "700m" } } }));
    assert.equal((await spec())?.replicas, 2);
    succeeded(await one.up({ config: { stopped: "true" } }));
    assert.equal((await spec())?.replicas, 0, "an autoscaler keeps no pod of a stopped project");
    unchanged(await one.up());
    succeeded(await one.up({ config: { stopped: "false" } }));
    assert.notEqual((await spec())?.replicas, 0, "an autoscaler does not scale from 0");
    await scaler.deleteNamespacedHorizontalPodAutoscaler({ namespace, name });
    succeeded(await one.up());
    assert.equal((await spec())?.replicas, 1);
    unchanged(await one.up());
  });

  it("of quota, limits or network policy is reverted after a refresh", async () => {
    const config = kubeConfig(one.place);
    const core = config.makeApiClient(CoreV1Api);
    const networking = config.makeApiClient(NetworkingV1Api);
    const rule = { namespace: one.slug, name: "project" };
    const rules = async () => [
      (await core.readNamespacedResourceQuota(rule)).spec,
      (await core.readNamespacedLimitRange(rule)).spec,
      (await networking.readNamespacedNetworkPolicy(rule)).spec,
    ];
    const before = await rules();
    const objects = KubernetesObjectApi.makeApiClient(config);
    const open = (apiVersion: string, kind: string, changed: object, manager: string) =>
      objects.patch(
        { apiVersion, kind, metadata: rule, spec: changed } as never,
        undefined,
        undefined,
        manager,
        undefined,
        PatchStrategy.MergePatch,
      );
    await open("v1", "ResourceQuota", { hard: { pods: "900" } }, "kubectl-edit");
    await open(
      "v1",
      "LimitRange",
      { limits: [{ type: "Container", default: { cpu: "9" } }] },
      "helm",
    );
    await open("networking.k8s.io/v1", "NetworkPolicy", { ingress: [{}] }, "somebody");
    succeeded(await one.refresh());
    succeeded(await one.up());
    assert.deepEqual(await rules(), before);
    unchanged(await one.up());
  });

  it("cannot block the project's destroy with a finalizer on its Deployment", async () => {
    const two = await project();
    succeeded(await two.up());
    const deployment = { namespace: two.slug, name: two.slug };
    await apps.patchNamespacedDeployment(
      {
        ...deployment,
        body: { metadata: { finalizers: ["example.test/held"] } },
        fieldManager: "kubectl-edit",
      },
      STRATEGIC,
    );
    succeeded(await two.destroy());
    assert.match(await refused(apps.readNamespacedDeployment(deployment)), /not found/);
  });
});

describe("a project that requests more than its platform permits", function () {
  this.timeout(300_000);
  const project = projects();

  it("is refused before anything is made, with all excessive sizes, also in a preview", async () => {
    const one = await project();
    const config = { sizes: { memoryQuota: "4000Gi", cpuLimit: "17", replicas: 1 } };
    const outcome = await one.up({ config });
    assert.equal(outcome.result, "failed");
    const text = outcome.errors.map(({ message }) => message).join("\n");
    assert.match(text, /rdev:sizes\.cpuLimit: is above the platform's rdev:maxSizes\.cpuLimit/);
    assert.match(text, /rdev:maxSizes\.memoryQuota, which is 256Gi, instead got "4000Gi"/);
    assert.equal((await one.preview()).result, "failed");
    assert.deepEqual(await one.onServers(), []);
  });
});
