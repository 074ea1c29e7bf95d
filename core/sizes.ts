import { z } from "zod";
import { COUNTS } from "./size-counts.ts";
import { quantity } from "./units.ts";

/** The resources that a project may use. */
export const sizes = z.strictObject({
  /** The pods of the project's Deployment. */
  replicas: count(COUNTS.replicas),
  cpuRequest: quantity,
  cpuLimit: quantity,
  memoryRequest: quantity,
  memoryLimit: quantity,
  /** The space on a node's disk for a container: its logs and the files it writes. */
  ephemeralStorageLimit: quantity,
  /** The maximum number of open sessions of the project's role in PostgreSQL. */
  databaseConnections: count(COUNTS.databaseConnections),
  /** The limit for all of the project's pods together. */
  cpuQuota: quantity,
  memoryQuota: quantity,
  ephemeralStorageQuota: quantity,
  /** The maximum number of pods in the project's namespace, including those of Jobs. */
  podQuota: count(COUNTS.podQuota),
  /** The maximum number of PersistentVolumeClaims in the project's namespace, and their total size. */
  volumeQuota: count(COUNTS.volumeQuota),
  storageQuota: quantity,
});

export type Sizes = z.output<typeof sizes>;

export const DEFAULT_SIZES: Sizes = {
  replicas: 1,
  cpuRequest: "50m",
  cpuLimit: "500m",
  memoryRequest: "64Mi",
  memoryLimit: "256Mi",
  ephemeralStorageLimit: "1Gi",
  databaseConnections: 20,
  cpuQuota: "2",
  memoryQuota: "1Gi",
  // Enough for 20 replicas, the pods of their rollout, and some Jobs.
  ephemeralStorageQuota: "40Gi",
  podQuota: 40,
  volumeQuota: 4,
  storageQuota: "10Gi",
};

function count({ min, max }: { readonly min: number; readonly max: number }) {
  return z.int().min(min).max(max);
}
