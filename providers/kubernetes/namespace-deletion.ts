import { setTimeout as sleep } from "node:timers/promises";
import { InfraError } from "../../core/errors.ts";
import type { Kubernetes, ObjectName } from "./client.ts";

/** In ms. */
export interface EndingTimes {
  /** How long pods may take to stop before their namespace is deleted under them. */
  readonly pods: number;
  /** How long finalizers are left to those who put them on. */
  readonly finalizers: number;
  /** How long a deletion may take after that. */
  readonly gone: number;
}

const TIMES: EndingTimes = { pods: 35_000, finalizers: 30_000, gone: 120_000 };
const POLL = 250;

/**
 * Kinds that stand for nothing outside the cluster: whatever a finalizer on one of them waits for, it
 * goes with its namespace. Taking it off cannot lose a disk or leave a load balancer behind.
 */
const INSIDE: readonly (readonly [apiVersion: string, kind: string])[] = [
  ["v1", "Pod"],
  ["v1", "ReplicationController"],
  ["apps/v1", "Deployment"],
  ["apps/v1", "ReplicaSet"],
  ["apps/v1", "StatefulSet"],
  ["apps/v1", "DaemonSet"],
  ["batch/v1", "Job"],
  ["batch/v1", "CronJob"],
  ["v1", "ConfigMap"],
  ["v1", "Secret"],
  ["v1", "ServiceAccount"],
  ["v1", "ResourceQuota"],
  ["v1", "LimitRange"],
  ["networking.k8s.io/v1", "NetworkPolicy"],
  ["rbac.authorization.k8s.io/v1", "Role"],
  ["rbac.authorization.k8s.io/v1", "RoleBinding"],
];

/** Kinds whose finalizers guard disks, load balancers and records outside: named, never touched. */
const OUTSIDE: typeof INSIDE = [
  ["v1", "PersistentVolumeClaim"],
  ["v1", "Service"],
  ["networking.k8s.io/v1", "Ingress"],
];

/** The garbage collector's, which takes them off by itself. */
const COLLECTOR = ["foregroundDeletion", "orphan"];

interface Held extends ObjectName {
  readonly finalizers: readonly string[];
}

/**
 * Deletes a namespace with everything in it, and returns when it is gone. Whoever may write an
 * object in it can put a finalizer on it, which would hold the deletion for ever: after a while these
 * are taken off the kinds that stand for nothing outside the cluster.
 *
 * Errors: RDEV_DEADLINE, which names what remains.
 */
export async function deleteNamespace(
  kubernetes: Kubernetes,
  name: string,
  times: EndingTimes = TIMES,
): Promise<void> {
  const found = await kubernetes.namespace(name);
  if (!found) return;
  if (!found.isTerminating) {
    await stopPods(kubernetes, name, times.pods);
    await kubernetes.deleteNamespace(name, found.uid);
  }
  if (await isGone(kubernetes, name, found.uid, times.finalizers)) return;
  for (const object of await heldObjects(kubernetes, name, INSIDE)) {
    const left = object.finalizers.filter((finalizer) => COLLECTOR.includes(finalizer));
    await kubernetes.setFinalizers(object, left);
  }
  await untilNamespaceGone(kubernetes, name, found.uid, times.gone);
}

/** Waits until the namespace with this uid is gone. Errors: RDEV_DEADLINE, which names what remains. */
export async function untilNamespaceGone(
  kubernetes: Kubernetes,
  name: string,
  uid: string,
  limit: number = TIMES.gone,
): Promise<void> {
  if (await isGone(kubernetes, name, uid, limit)) return;
  const held = await heldObjects(kubernetes, name, [...INSIDE, ...OUTSIDE]);
  const objects = held.map(
    ({ kind, name: object, finalizers }) => `${kind} ${object} (${finalizers.join(", ")})`,
  );
  const remains = (await kubernetes.namespace(name))?.remains ?? "";
  throw new InfraError(
    "RDEV_DEADLINE",
    `The namespace ${name} is still being deleted after ${limit / 1000} s. ${remains} ` +
      (objects.length > 0 ? `Finalizers hold: ${objects.join(", ")}. ` : "") +
      "Let their controllers finish, or take the finalizers off by hand; then destroy again.",
  );
}

/**
 * Ends the pods before their namespace: its controller waits half of the time that pods may take to
 * stop, whether they need it or not.
 */
async function stopPods(kubernetes: Kubernetes, namespace: string, limit: number): Promise<void> {
  for (const { metadata } of await kubernetes.list("apps/v1", "Deployment", namespace)) {
    const { name = "" } = metadata ?? {};
    await kubernetes.delete({ apiVersion: "apps/v1", kind: "Deployment", namespace, name });
  }
  await within(limit, async () => (await kubernetes.list("v1", "Pod", namespace)).length === 0);
}

function isGone(kubernetes: Kubernetes, name: string, uid: string, limit: number) {
  return within(limit, async () => (await kubernetes.namespace(name))?.uid !== uid);
}

async function within(limit: number, check: () => Promise<boolean>): Promise<boolean> {
  const end = Date.now() + limit;
  for (;;) {
    if (await check()) return true;
    if (Date.now() > end) return false;
    await sleep(POLL);
  }
}

async function heldObjects(
  kubernetes: Kubernetes,
  namespace: string,
  kinds: typeof INSIDE,
): Promise<Held[]> {
  const lists = await Promise.all(
    kinds.map(async ([apiVersion, kind]) => {
      const objects = await kubernetes.list(apiVersion, kind, namespace);
      return objects.map(({ metadata }) => ({
        ...{ apiVersion, kind, namespace, name: metadata?.name ?? "" },
        finalizers: metadata?.finalizers ?? [],
      }));
    }),
  );
  return lists
    .flat()
    .filter(({ finalizers }) => finalizers.some((one) => !COLLECTOR.includes(one)));
}
