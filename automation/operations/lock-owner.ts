import { hostname } from "node:os";
import { pulumiVariables } from "../../core/connections.ts";
import type { LockHolder } from "../engine/quirks/cli-text.ts";
import {
  innermostPid,
  processIds,
  seesAllProcesses,
  startedAt,
  thisMachine,
} from "../processes/processes.ts";
import type { PastAttempt } from "./tables.ts";

/** The lock's time and the attempt's come from clocks of different machines. */
const CLOCK_SKEW_MS = 60_000;

/**
 * Whether the holder of a stack's lock is proved dead. Two proofs count:
 * 1. It was an engine of a past attempt. The queue runs one operation of a stack at a time, and all
 *    processes of an attempt are killed when it ends or its lease expires.
 * 2. It ran on this machine, and its process is gone.
 */
export function isHolderDead(
  holder: LockHolder,
  attempts: readonly PastAttempt[],
  backend = pulumiVariables().backend ?? "",
): boolean {
  if (thisMachine() === "") return false; // without /proc, nothing proves that a process has ended
  const ours = attempts.find((attempt) => isEngineOf(holder, attempt));
  if (ours) return ours.runner.machine !== thisMachine() || !isRunning(holder);
  return (
    isLocalBackend(backend) &&
    holder.host === hostname() &&
    seesAllProcesses() &&
    !isRunning(holder)
  );
}

function isEngineOf(
  { host, pid, since }: LockHolder,
  { runner, engines, startedAt }: PastAttempt,
): boolean {
  const begun = startedAt.getTime() - CLOCK_SKEW_MS;
  return runner.host === host && engines.includes(pid) && Date.parse(since) >= begun;
}

/** A shared backend may hold locks of another machine with the same host name. */
function isLocalBackend(backend: string): boolean {
  return backend.startsWith("file:");
}

const SLACK_MS = 2_000;

/**
 * Whether a process with the holder's id runs, in any PID namespace, that started before the lock was
 * taken. A process that started later only reuses the id.
 */
function isRunning({ pid, since }: LockHolder): boolean {
  const latest = Date.parse(since) + SLACK_MS;
  return processIds().some(
    (each) => innermostPid(each) === pid && (startedAt(each) ?? Infinity) <= latest,
  );
}
