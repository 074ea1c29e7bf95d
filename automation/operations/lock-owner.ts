import { readdirSync, readFileSync } from "node:fs";
import { hostname } from "node:os";
import { pulumiVariables } from "../../core/connections.ts";
import type { LockHolder } from "../engine/messages.ts";
import { begunAt } from "../engine/processes.ts";
import { thisMachine, type RunnerIdentity } from "./runner-identity.ts";

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
  const ours = attempts.find((attempt) => isOf(holder, attempt));
  if (ours) return ours.runner.machine !== thisMachine() || !isEngine(holder);
  return isOnlyHere(backend) && holder.host === hostname() && seesAll() && !isEngine(holder);
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

/** Linux' number of the first namespace of processes (PROC_PID_INIT_INO): all others are within it. */
const FIRST_NAMESPACE = "pid:[4026531836]";

/** In a container only some processes can be seen, and their numbers are others'. */
function seesAll(): boolean {
  return thisMachine().endsWith(FIRST_NAMESPACE);
}

/**
 * Whether a process of that number runs, in whatever namespace, that was there when the lock was
 * made: a later one of that number is another.
 */
function isEngine({ pid, since }: LockHolder): boolean {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .some((each) => innermostPid(each) === pid && startedBy(each, Date.parse(since)));
}

function innermostPid(pid: number): number | undefined {
  try {
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    return Number(/^NSpid:\s+(.*)$/m.exec(status)?.[1]?.split(/\s+/).at(-1) ?? pid);
  } catch {
    return undefined;
  }
}

/** The kernel counts in hundredths of a second since its boot, on every platform that Node knows. */
const TICKS_PER_S = 100;
const SLACK_MS = 2_000;

function startedBy(pid: number, time: number): boolean {
  const begun = begunAt(pid);
  if (begun === undefined) return false;
  const uptime = Number(readFileSync("/proc/uptime", "utf8").split(" ")[0]);
  const startedAt = Date.now() - (uptime - Number(begun) / TICKS_PER_S) * 1000;
  return startedAt <= time + SLACK_MS;
}
