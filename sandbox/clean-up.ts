import { readFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";

/** A group of processes, by its leader, and how to end it. */
export interface Group {
  readonly leader: number;
  /** SIGKILL, unless the server leaves something behind outside its folder then. */
  readonly signal: NodeJS.Signals;
}

const GRACE_MS = 3_000;
const POLL_MS = 20;

/** Ends all groups at once, then removes the folders. Safe to call again; never throws for what is gone. */
export async function cleanUp(groups: Iterable<Group>, folders: Iterable<string>): Promise<void> {
  const all = [...groups];
  for (const { leader, signal } of all) send(leader, signal);
  if (!(await allGone(all))) {
    for (const { leader } of all) send(leader, "SIGKILL");
    await allGone(all);
  }
  for (const folder of folders) {
    await rm(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: POLL_MS });
  }
}

async function allGone(groups: readonly Group[]): Promise<boolean> {
  const deadline = Date.now() + GRACE_MS;
  while (groups.some(({ leader }) => send(leader, 0) && !isZombie(leader))) {
    if (Date.now() > deadline) return false;
    await sleep(POLL_MS);
  }
  return true;
}

/** Ended, but waiting for a parent that does not ask: a container's first process often does not. */
function isZombie(pid: number): boolean {
  try {
    return /^\d+ \(.*\) Z/s.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}

/** False once the group has no process left. */
function send(leader: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(-leader, signal);
  } catch {
    return false;
  }
}
