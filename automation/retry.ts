import { setTimeout as sleep } from "node:timers/promises";

interface Backoff {
  /** In ms, after the first failure. Doubled after each further one. */
  readonly first: number;
  /** In ms. */
  readonly longest: number;
  /** In ms: the longest wait, even if the server asks for more. */
  readonly max: number;
}

/**
 * Exponential backoff in ms with jitter, at least what the server asked for. p-retry does not fit an
 * outbox: it retries within one call, but the next attempt is stored there, for any process.
 */
export function backoff(
  { first, longest, max }: Backoff,
  attempts: number,
  retryAfter = 0,
): number {
  const wait = Math.min(longest, first * 2 ** Math.max(0, attempts - 1));
  const jittered = wait * (0.5 + Math.random() / 2);
  return Math.round(Math.min(max, Math.max(retryAfter, jittered)));
}

/** Repeats `step` until the signal aborts. `step` never rejects, and returns the wait after it, in ms. */
export async function repeat(signal: AbortSignal, step: () => Promise<number>): Promise<void> {
  while (!signal.aborted) {
    const wait = await step();
    await sleep(wait, undefined, { signal }).catch(() => undefined);
  }
}
