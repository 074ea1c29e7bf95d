import assert from "node:assert/strict";
import type { V1ContainerStatus, V1Deployment, V1Pod } from "@kubernetes/client-node";
import { isRolledOut, problemOf } from "../../providers/kubernetes/rollout.ts";

const IMAGE = "registry.example.test/my-app:7";
const NOW = Date.parse("2026-01-31T12:00:00Z");

function deployment(status: V1Deployment["status"] = {}): V1Deployment {
  return {
    metadata: { generation: 3 },
    spec: { replicas: 2, selector: {}, template: {} },
    status: {
      observedGeneration: 3,
      replicas: 2,
      updatedReplicas: 2,
      availableReplicas: 2,
      ...status,
    },
  };
}

/** A pod that is not ready. */
function pod(container: Partial<V1ContainerStatus> = {}, status: V1Pod["status"] = {}): V1Pod {
  const containerStatus = { name: "app", image: "", imageID: "", ready: false, restartCount: 0 };
  return {
    metadata: { name: "my-app-1" },
    spec: { containers: [{ name: "app", image: IMAGE }] },
    status: {
      startTime: new Date(NOW - 5_000),
      containerStatuses: [{ ...containerStatus, ...container }],
      ...status,
    },
  };
}

describe("a rollout", () => {
  it("is complete once all pods run the last template, and no other does", () => {
    assert.ok(isRolledOut(deployment()));
    for (const status of [
      { observedGeneration: 2 },
      { updatedReplicas: 1 },
      { replicas: 3 },
      { availableReplicas: 1 },
    ]) {
      assert.ok(!isRolledOut(deployment(status)), JSON.stringify(status));
    }
  });

  const unready = deployment({ availableReplicas: 1 });
  const found = (...pods: V1Pod[]) => problemOf(unready, pods, IMAGE, NOW);

  it("has no problem while it makes progress", () => {
    assert.equal(found(), undefined);
    assert.equal(found(pod({ state: { waiting: { reason: "ContainerCreating" } } })), undefined);
    assert.equal(found(pod({ state: { running: {} } })), undefined);
    const conditions = [{ type: "Ready", status: "True" }];
    const restarted = { lastState: { terminated: { exitCode: 1 } } };
    assert.equal(found(pod(restarted, { conditions })), undefined);
  });

  it("names the pod, the container and what Kubernetes says", () => {
    const pull = { reason: "ErrImagePull", message: "no basic auth credentials" };
    assert.equal(
      found(pod({ state: { waiting: pull } })),
      "pod my-app-1: container app: ErrImagePull: no basic auth credentials",
    );
    const crash = {
      state: { waiting: { reason: "CrashLoopBackOff", message: "back-off 10s restarting" } },
      lastState: { terminated: { reason: "OOMKilled", exitCode: 137 } },
    };
    // Without the back-off, which would be another text in every preview.
    assert.equal(
      found(pod(crash)),
      "pod my-app-1: container app: OOMKilled: ended with exit code 137",
    );
    const scheduled = {
      type: "PodScheduled",
      status: "False",
      reason: "Unschedulable",
      message: "0/3 nodes are available",
    };
    assert.equal(
      found(pod({}, { conditions: [scheduled] })),
      "pod my-app-1: Unschedulable: 0/3 nodes are available",
    );
  });

  it("has a problem if a pod is not ready for a minute, and if it makes no progress", () => {
    const started = { startTime: new Date(NOW - 60_000) };
    assert.equal(
      found(pod({ state: { running: {} } }, started)),
      "pod my-app-1: not ready since its start at 2026-01-31T11:59:00.000Z",
    );
    const message = 'exceeded quota: project, requested: "pods=1"';
    const conditions = [{ type: "ReplicaFailure", status: "True", message }];
    assert.equal(
      problemOf(deployment({ updatedReplicas: 0, conditions }), [], IMAGE, NOW),
      message,
    );
  });

  it("is not judged by pods with another image, or pods that are being deleted", () => {
    const crashed = pod({ state: { terminated: { exitCode: 1 } } });
    const old: V1Pod = { ...crashed, spec: { containers: [{ name: "app", image: "old" }] } };
    const deleted: V1Pod = { ...crashed, metadata: { deletionTimestamp: new Date(NOW) } };
    assert.equal(found(old, deleted), undefined);
    assert.ok(found(crashed));
  });

  it("has a problem of bounded length", () => {
    const waiting = { reason: "ErrImagePull", message: "x".repeat(10_000) };
    assert.ok((found(pod({ state: { waiting } }))?.length ?? 0) < 500);
  });
});
