import { z } from "zod";

/**
 * The runs that may be given a secret, in Woodpecker's words. Those of pull requests are left out:
 * whoever can open one could then print the secret.
 */
const ALLOWED = ["cron", "deployment", "manual", "push", "release", "tag"] as const;

const DEFAULT = ["deployment", "manual", "push", "tag"] as const;

/** Sorted, as Woodpecker answers them. */
export const secretEvents = z
  .array(z.enum(ALLOWED, `is none of ${ALLOWED.join(", ")}`))
  .min(1)
  .default([...DEFAULT])
  // Events that a person added on the server are drift, so that any may be read.
  .transform((events): string[] => [...new Set(events)].sort());

export const DEFAULT_EVENTS: readonly string[] = DEFAULT;
