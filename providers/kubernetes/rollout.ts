import type * as k8s from "@kubernetes/client-node";

/** In ms. A pod that is not ready after this time counts as one that does not come up. */
const SLOW_START = 60_000;

/** In characters. Registries answer with long texts. */
const MAX_LENGTH = 400;

/** Reasons of a container that is on its way. */
const STARTING = ["ContainerCreating", "PodInitializing"];

/** Whether all pods of a Deployment run its template: what `kubectl rollout status` waits for. */
export function isRolledOut({ metadata, spec, status }: k8s.V1Deployment): boolean {
  const wanted = spec?.replicas ?? 1;
  const updated = status?.updatedReplicas ?? 0;
  return (
    (status?.observedGeneration ?? 0) >= (metadata?.generation ?? 0) &&
    updated >= wanted &&
    (status?.replicas ?? 0) <= updated &&
    (status?.availableReplicas ?? 0) >= updated
  );
}

/**
 * Why the pods of a Deployment do not come up, in Kubernetes' words. Undefined if nothing is wrong so
 * far, also while a rollout makes progress. `pods` may hold pods of earlier templates; only those with
 * the image count. `now` is in ms since 1970.
 */
export function problemOf(
  deployment: k8s.V1Deployment,
  pods: readonly k8s.V1Pod[],
  image: string,
  now: number,
): string | undefined {
  if (isRolledOut(deployment)) return undefined;
  const current = pods.filter(({ spec }) => spec?.containers.some((one) => one.image === image));
  const [first] = [
    ...current.flatMap((pod) => podProblem(pod, now) ?? []).toSorted(),
    ...deploymentProblems(deployment),
  ];
  if (first === undefined) return undefined;
  return first.length > MAX_LENGTH ? `${first.slice(0, MAX_LENGTH)}…` : first;
}

/** A quota or a policy that refuses the pods, or a rollout without progress for 10 minutes. */
function deploymentProblems({ status }: k8s.V1Deployment): string[] {
  const found = status?.conditions?.filter(
    (condition) =>
      (condition.type === "ReplicaFailure" && condition.status === "True") ||
      (condition.type === "Progressing" && condition.status === "False"),
  );
  return found?.map(({ reason, message }) => message ?? reason ?? "no progress") ?? [];
}

function podProblem({ metadata, status }: k8s.V1Pod, now: number): string | undefined {
  const isTrue = (type: string) =>
    status?.conditions?.find((condition) => condition.type === type)?.status === "True";
  if (metadata?.deletionTimestamp || isTrue("Ready")) return undefined;
  const name = `pod ${metadata?.name ?? ""}`;
  const scheduling = status?.conditions?.find(({ type }) => type === "PodScheduled");
  if (scheduling?.status === "False") {
    return `${name}: ${scheduling.reason ?? "not scheduled"}: ${scheduling.message ?? ""}`;
  }
  for (const container of [
    ...(status?.initContainerStatuses ?? []),
    ...(status?.containerStatuses ?? []),
  ]) {
    const problem = containerProblem(container);
    if (problem !== undefined) return `${name}: container ${container.name}: ${problem}`;
  }
  const started = status?.startTime?.getTime() ?? now;
  if (now - started < SLOW_START) return undefined;
  return `${name}: not ready since its start at ${new Date(started).toISOString()}`;
}

function containerProblem({ state, lastState }: k8s.V1ContainerStatus): string | undefined {
  const ended = state?.terminated ?? lastState?.terminated;
  if (ended && ended.exitCode !== 0) {
    return `${ended.reason ?? "Error"}: ended with exit code ${ended.exitCode}`;
  }
  const { reason, message } = state?.waiting ?? {};
  if (reason === undefined || STARTING.includes(reason)) return undefined;
  return message === undefined ? reason : `${reason}: ${message}`;
}
