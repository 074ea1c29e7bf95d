import { amount } from "./quantity.ts";
import type { Sizes } from "./sizes.ts";

// Without zod, because the page checks sizes by the same rules as the service.

/** The ceilings of a platform that sets none. */
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

/** A platform's settings for sizes: the default sizes of its projects, and the ceilings. */
export interface SizeSettings {
  readonly sizes: Sizes;
  readonly maxSizes: Partial<Sizes>;
}

interface Excess {
  readonly size: keyof Sizes;
  readonly requested: string | number;
  readonly ceiling: string | number;
}

/** The requested sizes that are above the platform's ceilings, in the order of the schema. */
export function excesses(requested: Partial<Sizes>, platform: SizeSettings): Excess[] {
  return SIZE_NAMES.flatMap((size) => {
    const ceiling = ceilingOf(size, platform);
    const value = requested[size];
    return value !== undefined && numberOf(value) > numberOf(ceiling)
      ? [{ size, requested: value, ceiling }]
      : [];
  });
}

/** The sizes in the order of the schema. */
export const SIZE_NAMES = Object.keys(DEFAULT_CEILINGS) as (keyof Sizes)[];

/** The platform's default sizes raise the default ceilings, but not the ceilings that it sets. */
export function ceilingOf(
  size: keyof Sizes,
  { sizes: own, maxSizes }: SizeSettings,
): string | number {
  const ceiling = DEFAULT_CEILINGS[size];
  return maxSizes[size] ?? (numberOf(own[size]) > numberOf(ceiling) ? own[size] : ceiling);
}

/** A limit that the project's pods do not fit into. */
interface Shortage {
  /** The size of one pod; undefined for the number of pods. */
  readonly size: keyof typeof QUOTAS | undefined;
  readonly quota: "podQuota" | (typeof QUOTAS)[keyof typeof QUOTAS];
}

/** The sizes of one pod, and the quota for all pods together. */
const QUOTAS = {
  cpuLimit: "cpuQuota",
  memoryLimit: "memoryQuota",
  ephemeralStorageLimit: "ephemeralStorageQuota",
} as const;

/** Differences of floating-point numbers, such as 3 x 0.1 and 0.3. */
const TOLERANCE = 1e-9;

/**
 * The quotas that are too small for the replicas of a project. Kubernetes would refuse some of its
 * pods, and an `up` would wait for them in vain.
 */
export function shortages(all: Sizes): Shortage[] {
  const { replicas } = all;
  const tooSmall = Object.entries(QUOTAS).flatMap(([name, quota]): Shortage[] => {
    const size = name as keyof typeof QUOTAS;
    const needed = replicas * amount(all[size]);
    return needed > amount(all[quota]) * (1 + TOLERANCE) ? [{ size, quota }] : [];
  });
  return replicas > all.podQuota ? [{ size: undefined, quota: "podQuota" }, ...tooSmall] : tooSmall;
}

function numberOf(value: string | number): number {
  return typeof value === "number" ? value : amount(value);
}
