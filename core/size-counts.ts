// Without zod, because the page checks sizes by the same rules as the service.

/** The bounds of the sizes that are whole numbers. The others are quantities. */
export const COUNTS = {
  replicas: { min: 0, max: 20 },
  databaseConnections: { min: 1, max: 500 },
  podQuota: { min: 1, max: 500 },
  volumeQuota: { min: 0, max: 500 },
} as const;

export function isCount(size: string): size is keyof typeof COUNTS {
  return Object.hasOwn(COUNTS, size);
}
