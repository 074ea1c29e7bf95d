import assert from "node:assert/strict";
import { complaintsOf, readiness } from "../../../../sandbox/plugins/kubernetes/readiness.ts";
import type { Properties } from "../../../../sandbox/plugins/values.ts";

function told(kind: string, spec: Properties, status: Properties, more: Properties = {}): string {
  const apiVersions: Record<string, string> = {
    ...{ Pod: "v1", Secret: "v1", ResourceQuota: "v1" },
    Job: "batch/v1",
  };
  const apiVersion = apiVersions[kind] ?? "apps/v1";
  const metadata = { generation: 2, ...(more["metadata"] as Properties | undefined) };
  const result = readiness({ apiVersion, kind, spec, status, ...more, metadata });
  return result.state === "ready" ? "ready" : `${result.state}: ${result.reason}`;
}

const seen = { observedGeneration: 2 };

describe("readiness", () => {
  it("of a Deployment waits for the controller, the update, the old pods and the new ones", () => {
    const spec = { replicas: 2 };
    const d = (status: Properties) => told("Deployment", spec, status);
    assert.match(d({ observedGeneration: 1 }), /^waiting: its controller/);
    assert.match(d(seen), /^waiting: 0 of 2 pods updated/);
    assert.match(d({ ...seen, updatedReplicas: 2, replicas: 3 }), /^waiting: 1 old pods/);
    const late = { ...seen, updatedReplicas: 2, replicas: 2, availableReplicas: 1 };
    assert.match(d(late), /^waiting: 1 of 2 pods available/);
    assert.equal(d({ ...late, availableReplicas: 2 }), "ready");
  });

  it("of a Deployment without pods, or paused, is there at once", () => {
    assert.equal(told("Deployment", { replicas: 0 }, seen), "ready");
    assert.equal(told("Deployment", { paused: true }, {}), "ready");
  });

  it("of a StatefulSet counts ready pods, and updated ones above the partition", () => {
    const status = { ...seen, updatedReplicas: 1, readyReplicas: 3 };
    assert.match(told("StatefulSet", { replicas: 3 }, status), /^waiting: 1 of 3 pods updated/);
    const partition = { replicas: 3, updateStrategy: { rollingUpdate: { partition: 2 } } };
    assert.equal(told("StatefulSet", partition, status), "ready");
    assert.match(
      told("StatefulSet", partition, { ...status, readyReplicas: 2 }),
      /^waiting: 2 of 3 pods ready/,
    );
  });

  it("of a DaemonSet counts the nodes that it is for", () => {
    const status = { ...seen, desiredNumberScheduled: 3, updatedNumberScheduled: 3 };
    assert.match(told("DaemonSet", {}, { ...status, numberAvailable: 1 }), /^waiting: 1 of 3/);
    assert.equal(told("DaemonSet", {}, { ...status, numberAvailable: 3 }), "ready");
  });

  it("of a Job is its completion, and fails with its failure", () => {
    const condition = (type: string) => ({
      conditions: [{ type, status: "True", message: "backoff limit" }],
    });
    assert.match(told("Job", {}, {}), /^waiting/);
    assert.equal(told("Job", {}, condition("Complete")), "ready");
    assert.equal(told("Job", {}, condition("Failed")), "failed: backoff limit");
  });

  it("of a ResourceQuota is its use, counted for the limits that it has now", () => {
    const spec = { hard: { pods: "4" } };
    assert.match(told("ResourceQuota", spec, {}), /^waiting: its use is not counted yet/);
    assert.match(told("ResourceQuota", spec, { hard: { pods: "3" } }), /^waiting/);
    assert.equal(told("ResourceQuota", spec, { hard: { pods: "4" }, used: {} }), "ready");
  });

  it("of a service account's Secret is its token", () => {
    const type = "kubernetes.io/service-account-token";
    assert.match(told("Secret", {}, {}, { type }), /^waiting: it has no token yet/);
    assert.equal(told("Secret", {}, {}, { type, data: { token: "eA==" } }), "ready");
    assert.equal(told("Secret", {}, {}, { type: "Opaque" }), "ready");
  });

  it("of a kind that is not known is its existence", () => {
    assert.equal(told("Thing", {}, {}), "ready");
  });
});

describe("complaints of a pod", () => {
  const pod = (status: Properties): string[] =>
    complaintsOf({ metadata: { name: "web-1" }, status });

  it("say why it is not scheduled", () => {
    const conditions = [{ type: "PodScheduled", status: "False", message: "no node fits" }];
    assert.deepEqual(pod({ conditions }), ["pod web-1: no node fits"]);
  });

  it("say why a container waits, and how it ended before", () => {
    const state = { waiting: { reason: "CrashLoopBackOff", message: "back-off 10s" } };
    const lastState = { terminated: { exitCode: 3, reason: "Error", message: "no DATABASE_URL" } };
    assert.deepEqual(pod({ containerStatuses: [{ name: "app", state, lastState }] }), [
      "pod web-1: container app: CrashLoopBackOff: back-off 10s",
      "pod web-1: container app ended with exit code 3: Error: no DATABASE_URL",
    ]);
  });

  it("are none of one that runs or just starts", () => {
    const starting = { name: "app", state: { waiting: { reason: "ContainerCreating" } } };
    const done = { name: "init", state: { terminated: { exitCode: 0, reason: "Completed" } } };
    assert.deepEqual(pod({ containerStatuses: [starting], initContainerStatuses: [done] }), []);
  });
});
