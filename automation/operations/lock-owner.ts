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
import type { RunnerIdentity } from "./runner-identity.ts";

/** An attempt at an operation of the stack that holds the lock, other than the one that asks. */
export interface PastAttempt {
  readonly startedAt: Date;
  readonly runner: RunnerIdentity;
  /** The process ids of its engines. */
  readonly engines: readonly number[];
}

/** A lock is written soon after its engine began, by a clock that may differ from the database's. */
const CLOCK_SKEW_MS = 60_000;

/**
 * Whether the holder of a stack's lock is proved dead. It is, when it was an engine of one of our
 * attempts: the queue lets no two of one stack run, and an attempt that is over, or whose runner
 * was silent for too long, has been ended with all its processes. Else only when it ran on this very
 * machine, where its process is gone.
 */
export function isHolderDead(
  holder: LockHolder,
  attempts: readonly PastAttempt[],
  backend = pulumiVariables().backend ?? "",
): boolean {
  if (thisMachine() === "") return false; // without /proc, nothing proves that a process has ended
  const ours = attempts.find((attempt) => isOf(holder, attempt));
  if (ours) return ours.runner.machine !== thisMachine() || !isEngine(holder);
  return (
    isOnlyHere(backend) && holder.host === hostname() && seesAllProcesses() && !isEngine(holder)
  );
}

function isOf(
  { host, pid, since }: LockHolder,
  { runner, engines, startedAt }: PastAttempt,
): boolean {
  const begun = startedAt.getTime() - CLOCK_SKEW_MS;
  return runner.host === host && engines.includes(pid) && Date.parse(since) >= begun;
}

/** A backend that other machines can reach may hold locks of one that has this one's name. */
function isOnlyHere(backend: string): boolean {
  return backend.startsWith("file:");
}

const SLACK_MS = 2_000;

/**
 * Whether a process with the holder's id runs, in any PID namespace, that started before the lock was
 * taken. A process that started later only reuses the id.
 */
function isEngine({ pid, since }: LockHolder): boolean {
  const latest = Date.parse(since) + SLACK_MS;
  return processIds().some(
    (each) => innermostPid(each) === pid && (startedAt(each) ?? Infinity) <= latest,
  );
}
