import { setTimeout as sleep } from "node:timers/promises";
import { InfraError } from "../../core/errors.ts";
import type { Kubernetes, ObjectName } from "./client.ts";

/** In ms. */
interface DeletionTimes {
  /** How long pods may take to stop before the namespace is deleted. */
  readonly pods: number;
  /** How long controllers may take to remove their finalizers. */
  readonly finalizers: number;
  /** How long the deletion may take after that. */
  readonly gone: number;
}

const TIMES: DeletionTimes = { pods: 35_000, finalizers: 30_000, gone: 120_000 };
const POLL = 250;

/**
 * Kinds without a counterpart outside the cluster. Removing a finalizer from one of them cannot lose a
 * disk or leave a load balancer behind.
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

/** Kinds whose finalizers protect disks, load balancers or records outside. Only reported. */
const OUTSIDE: typeof INSIDE = [
  ["v1", "PersistentVolumeClaim"],
  ["v1", "Service"],
  ["networking.k8s.io/v1", "Ingress"],
];

/** Finalizers of the garbage collector, which removes them itself. */
const COLLECTOR = ["foregroundDeletion", "orphan"];

interface BlockedObject extends ObjectName {
  readonly finalizers: readonly string[];
}

/**
 * Deletes a namespace with everything in it, and returns when it is gone. Everybody who can write
 * objects there can add a finalizer that blocks the deletion forever. So after a while finalizers are
 * removed from the kinds that have no counterpart outside the cluster.
 *
 * Throws RDEV_DEADLINE, which names what remains.
 */
export async function deleteNamespace(
  kubernetes: Kubernetes,
  name: string,
  times: DeletionTimes = TIMES,
): Promise<void> {
  const found = await kubernetes.namespaces.read(name);
  if (!found) return;
  if (!found.isTerminating) {
    await stopPods(kubernetes, name, times.pods);
    await kubernetes.namespaces.delete(name, found.uid);
  }
  if (await isGone(kubernetes, name, found.uid, times.finalizers)) return;
  for (const object of await blockedObjects(kubernetes, name, INSIDE)) {
    const left = object.finalizers.filter((finalizer) => COLLECTOR.includes(finalizer));
    await kubernetes.setFinalizers(object, left);
  }
  await untilNamespaceGone(kubernetes, name, found.uid, times.gone);
}

/** Waits until the namespace with this uid is gone. Throws RDEV_DEADLINE, which names what remains. */
export async function untilNamespaceGone(
  kubernetes: Kubernetes,
  name: string,
  uid: string,
  limit: number = TIMES.gone,
): Promise<void> {
  if (await isGone(kubernetes, name, uid, limit)) return;
  const blocked = await blockedObjects(kubernetes, name, [...INSIDE, ...OUTSIDE]);
  const objects = blocked.map(
    ({ kind, name: object, finalizers }) => `${kind} ${object} (${finalizers.join(", ")})`,
  );
  const remains = (await kubernetes.namespaces.read(name))?.remains ?? "";
  throw new InfraError(
    "RDEV_DEADLINE",
    `The namespace ${name} is still being deleted after ${limit / 1000} s. ${remains} ` +
      (objects.length > 0 ? `Finalizers block: ${objects.join(", ")}. ` : "") +
      "Let their controllers finish, or remove the finalizers by hand. Then destroy again.",
  );
}

/**
 * Stops the pods before the namespace is deleted. The namespace controller would wait half of their
 * grace period, even if they stop earlier.
 */
async function stopPods(kubernetes: Kubernetes, namespace: string, limit: number): Promise<void> {
  for (const { metadata } of await kubernetes.list("apps/v1", "Deployment", namespace)) {
    const { name = "" } = metadata ?? {};
    await kubernetes.delete({ apiVersion: "apps/v1", kind: "Deployment", namespace, name });
  }
  await becomesTrue(
    limit,
    async () => (await kubernetes.list("v1", "Pod", namespace)).length === 0,
  );
}

function isGone(kubernetes: Kubernetes, name: string, uid: string, limit: number) {
  return becomesTrue(limit, async () => (await kubernetes.namespaces.read(name))?.uid !== uid);
}

async function becomesTrue(limit: number, check: () => Promise<boolean>): Promise<boolean> {
  const end = Date.now() + limit;
  for (;;) {
    if (await check()) return true;
    if (Date.now() > end) return false;
    await sleep(POLL);
  }
}

async function blockedObjects(
  kubernetes: Kubernetes,
  namespace: string,
  kinds: typeof INSIDE,
): Promise<BlockedObject[]> {
  const lists = await Promise.all(
    kinds.map(async ([apiVersion, kind]) => {
      const objects = await kubernetes.list(apiVersion, kind, namespace);
      return objects.map(({ metadata }) => ({
        apiVersion,
        kind,
        namespace,
        name: metadata?.name ?? "",
        finalizers: metadata?.finalizers ?? [],
      }));
    }),
  );
  return lists
    .flat()
    .filter(({ finalizers }) => finalizers.some((one) => !COLLECTOR.includes(one)));
}
