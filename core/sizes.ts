import { z } from "zod";
import { amount, quantity } from "./units.ts";

/** What a project may use. */
export const sizes = z.strictObject({
  /** Pods of the project's Deployment. */
  replicas: z.int().min(0).max(20),
  cpuRequest: quantity,
  cpuLimit: quantity,
  memoryRequest: quantity,
  memoryLimit: quantity,
  /** The disk of a node that a container may fill: its logs, and what it writes. */
  ephemeralStorageLimit: quantity,
  /** Sessions that the project's role may have open in PostgreSQL at once. */
  databaseConnections: z.int().min(1).max(500),
  /** What all of the project's pods may use together. */
  cpuQuota: quantity,
  memoryQuota: quantity,
  ephemeralStorageQuota: quantity,
  /** Pods in the project's namespace, Jobs included. */
  podQuota: z.int().min(1).max(500),
  /** PersistentVolumeClaims in the project's namespace, and what they may ask for together. */
  volumeQuota: z.int().min(0).max(500),
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

/** What a project may ask for on a platform that says nothing. */
const DEFAULT_CEILINGS: Sizes = {
  replicas: 20,
  cpuRequest: "16",
  cpuLimit: "16",
  memoryRequest: "64Gi",
  memoryLimit: "64Gi",
  ephemeralStorageLimit: "64Gi",
  databaseConnections: 500,
  cpuQuota: "64",
  memoryQuota: "256Gi",
  ephemeralStorageQuota: "256Gi",
  podQuota: 200,
  volumeQuota: 20,
  storageQuota: "256Gi",
};

/** A platform's answer to what sizes there are: its own, and the most that a project may ask for. */
export interface SizeSettings {
  readonly sizes: Sizes;
  readonly maxSizes: Partial<Sizes>;
}

export interface Excess {
  readonly size: keyof Sizes;
  readonly asked: string | number;
  readonly ceiling: string | number;
}

/** The sizes among `asked` that are above the platform's ceilings, in the order of the shape. */
export function excesses(asked: Partial<Sizes>, platform: SizeSettings): Excess[] {
  return keys.flatMap((size) => {
    const ceiling = ceilingOf(size, platform);
    const value = asked[size];
    return value !== undefined && compared(value) > compared(ceiling)
      ? [{ size, asked: value, ceiling }]
      : [];
  });
}

const keys = Object.keys(sizes.shape) as (keyof Sizes)[];

/** A platform's own sizes raise the default ceilings, but not those that it sets itself. */
function ceilingOf(size: keyof Sizes, { sizes: own, maxSizes }: SizeSettings): string | number {
  const otherwise = DEFAULT_CEILINGS[size];
  return maxSizes[size] ?? (compared(own[size]) > compared(otherwise) ? own[size] : otherwise);
}

function compared(value: string | number): number {
  return typeof value === "number" ? value : amount(value);
}
