/** Whether the status of an object matches its spec. Pure: no calls. */
import { isDeepStrictEqual } from "node:util";
import { parsePath } from "../../../core/engine-values.ts";
import { getAt } from "../property-path.ts";
import { isObject, textOf, type Json, type Properties } from "../values.ts";

export type Readiness =
  | { readonly state: "ready" }
  | { readonly state: "waiting"; readonly reason: string }
  /** Final: it will not become ready. */
  | { readonly state: "failed"; readonly reason: string };

const READY: Readiness = { state: "ready" };
const waiting = (reason: string): Readiness => ({ state: "waiting", reason });
const failed = (reason: string): Readiness => ({ state: "failed", reason });

const at = (object: Properties, path: string): Json | undefined => getAt(object, parsePath(path));

function count(object: Properties, path: string, otherwise = 0): number {
  const value = at(object, path);
  return typeof value === "number" ? value : otherwise;
}

export interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason?: string;
  readonly message?: string;
}

export function conditionsOf(object: Properties): Condition[] {
  const conditions = at(object, "status.conditions");
  return Array.isArray(conditions) ? (conditions as unknown as Condition[]) : [];
}

const condition = (object: Properties, type: string): Condition | undefined =>
  conditionsOf(object).find((item) => item.type === type);

const isObserved = (object: Properties): boolean =>
  count(object, "status.observedGeneration") >= count(object, "metadata.generation");

const NOT_OBSERVED = waiting("its controller has not seen the change yet");

function deployment(object: Properties): Readiness {
  if (at(object, "spec.paused") === true) return READY;
  if (!isObserved(object)) return NOT_OBSERVED;
  const wanted = count(object, "spec.replicas", 1);
  const updated = count(object, "status.updatedReplicas");
  const available = count(object, "status.availableReplicas");
  const old = count(object, "status.replicas") - updated;
  if (updated < wanted) return waiting(`${updated} of ${wanted} pods updated`);
  if (old > 0) return waiting(`${old} old pods still running`);
  return available < wanted ? waiting(`${available} of ${wanted} pods available`) : READY;
}

function statefulSet(object: Properties): Readiness {
  if (at(object, "spec.updateStrategy.type") === "OnDelete") return READY;
  if (!isObserved(object)) return NOT_OBSERVED;
  const wanted = count(object, "spec.replicas", 1);
  const updated = count(object, "status.updatedReplicas");
  const ready = count(object, "status.readyReplicas");
  const toUpdate = wanted - count(object, "spec.updateStrategy.rollingUpdate.partition");
  if (updated < toUpdate) return waiting(`${updated} of ${toUpdate} pods updated`);
  return ready < wanted ? waiting(`${ready} of ${wanted} pods ready`) : READY;
}

function daemonSet(object: Properties): Readiness {
  if (at(object, "spec.updateStrategy.type") === "OnDelete") return READY;
  if (!isObserved(object)) return NOT_OBSERVED;
  const wanted = count(object, "status.desiredNumberScheduled");
  const updated = count(object, "status.updatedNumberScheduled");
  const available = count(object, "status.numberAvailable");
  if (updated < wanted) return waiting(`${updated} of ${wanted} pods updated`);
  return available < wanted ? waiting(`${available} of ${wanted} pods available`) : READY;
}

function job(object: Properties): Readiness {
  const failure = condition(object, "Failed");
  if (failure?.status === "True") return failed(failure.message ?? "the job failed");
  return condition(object, "Complete")?.status === "True" ? READY : waiting("not complete");
}

function pod(object: Properties): Readiness {
  const phase = at(object, "status.phase");
  if (phase === "Succeeded") return READY;
  if (phase === "Failed") return failed("the pod failed");
  return condition(object, "Ready")?.status === "True" ? READY : waiting("the pod is not ready");
}

/** A controller adds the token to the Secret of a service account. */
function secretObject(object: Properties): Readiness {
  if (object["type"] !== "kubernetes.io/service-account-token") return READY;
  return at(object, "data.token") === undefined ? waiting("it has no token yet") : READY;
}

/** A controller copies the limits into the status once it has counted what is used. */
function resourceQuota(object: Properties): Readiness {
  const isCounted = isDeepStrictEqual(at(object, "spec.hard"), at(object, "status.hard"));
  return isCounted ? READY : waiting("its use is not counted yet");
}

function customResourceDefinition(object: Properties): Readiness {
  if (condition(object, "Established")?.status === "True") return READY;
  const names = condition(object, "NamesAccepted");
  return waiting(names?.status === "False" ? (names.message ?? "") : "it is not served yet");
}

const BY_KIND: Readonly<Record<string, (object: Properties) => Readiness>> = {
  "apps/v1 Deployment": deployment,
  "apps/v1 StatefulSet": statefulSet,
  "apps/v1 DaemonSet": daemonSet,
  "batch/v1 Job": job,
  "v1 Pod": pod,
  "v1 ResourceQuota": resourceQuota,
  "v1 Secret": secretObject,
  "apiextensions.k8s.io/v1 CustomResourceDefinition": customResourceDefinition,
};

/** An object of any other kind is ready once it exists. */
export function readiness(object: Properties): Readiness {
  const key = `${textOf(object["apiVersion"])} ${textOf(object["kind"])}`;
  return BY_KIND[key]?.(object) ?? READY;
}

/** Why a pod does not run; empty if nothing is wrong. */
export function complaintsOf(pod: Properties): string[] {
  const name = textOf(getAt(pod, ["metadata", "name"]));
  const scheduled = condition(pod, "PodScheduled");
  const unscheduled = scheduled?.status === "False" ? [scheduled.message ?? "not scheduled"] : [];
  const containers = ["status.initContainerStatuses", "status.containerStatuses"]
    .flatMap((path) => at(pod, path) ?? [])
    .filter(isObject)
    .flatMap(containerComplaint);
  return [...unscheduled, ...containers].map((complaint) => `pod ${name}: ${complaint}`);
}

function containerComplaint(status: Properties): string[] {
  const name = textOf(status["name"]);
  const waits = at(status, "state.waiting");
  const ended = at(status, "state.terminated") ?? at(status, "lastState.terminated");
  const describeState = (state: Json | undefined) =>
    isObject(state)
      ? [state["reason"], state["message"]].filter((part) => typeof part === "string").join(": ")
      : "";
  const exit =
    isObject(ended) && ended["exitCode"] !== 0
      ? [
          `container ${name} ended with exit code ${textOf(ended["exitCode"])}: ${describeState(ended)}`,
        ]
      : [];
  const isStarting = ["ContainerCreating", "PodInitializing"].includes(describeState(waits));
  return describeState(waits) === "" || isStarting
    ? exit
    : [`container ${name}: ${describeState(waits)}`, ...exit];
}
