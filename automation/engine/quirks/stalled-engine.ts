/**
 * An engine that cannot write its state waits for ever instead of failing.
 *
 * Reason: on a full disk the file backend's write fails, and the engine neither exits nor reports it.
 * Workaround: an engine that reports no event for a long time is killed. The limit must be longer than
 * any resource may take, because a resource that is being made causes no events either.
 * Upstream: no report found. https://github.com/pulumi/pulumi/issues/20151 (closed) was another
 * hang after a failure.
 * Seen in: Pulumi 3.259.0 on the file backend.
 * Remove it when: tests/e2e/disk-full.sandbox.test.ts, the contract test, fails because the engine
 * reports the full disk itself. Keep the limit even then if nothing else bounds an engine that hangs.
 */
import { InfraError } from "../../../core/errors.ts";

export const STALL_MS = 15 * 60_000;

interface StallTimer {
  /** Aborted when there was no event for too long. */
  readonly signal: AbortSignal;
  /** Resets the timer. */
  onEvent(): void;
  stop(): void;
}

export function startStallTimer(ms: number): StallTimer {
  const stalled = new AbortController();
  const timer = setTimeout(() => stalled.abort(), ms);
  return {
    signal: stalled.signal,
    onEvent: () => void timer.refresh(),
    stop: () => clearTimeout(timer),
  };
}

export function stalledError(ms: number): InfraError {
  return new InfraError(
    "RDEV_DEADLINE",
    `Pulumi's engine reported nothing for ${ms / 1000} s and was killed. This happens when it cannot ` +
      "write the state: check whether the disk is full, then run this again. It continues what was begun.",
  );
}
