import assert from "node:assert/strict";
import { AppsV1Api } from "@kubernetes/client-node";
import { isRolledOut } from "../../providers/kubernetes/rollout.ts";
import { until } from "../../sandbox/process.ts";
import { kubeConfig, type ProjectOnServers } from "../../sandbox/proofs/project.ts";

/** Waits until all pods of the project's Deployment run its last template. An `up` then waits, too. */
export async function rolledOut(place: Pick<ProjectOnServers, "slug" | "env">): Promise<void> {
  const { slug } = place;
  const apps = kubeConfig(place).makeApiClient(AppsV1Api);
  await until(async () => {
    const found = await apps.readNamespacedDeployment({ namespace: slug, name: slug });
    assert.ok(isRolledOut(found), JSON.stringify(found.status));
  });
}
