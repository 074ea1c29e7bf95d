import { readdirSync, readFileSync } from "node:fs";
import { WORKER_MARK } from "./environment.ts";

/**
 * The processes of workers whose mark begins so: also those whose parents are gone, as the engine's
 * plugins, which run in groups of their own. Knows them by /proc, so it finds none but on Linux.
 */
export function processesMarked(mark: string): number[] {
  const prefix = `${WORKER_MARK}=${mark}`;
  return pids().filter(
    (pid) =>
      pid !== process.pid &&
      !isZombie(pid) &&
      read(pid, "environ")
        .split("\0")
        .some((variable) => variable.startsWith(prefix)),
  );
}

/** Ends them at once, and those that they start meanwhile. */
export function killMarked(mark: string): void {
  for (let round = 0; round < 5; round++) {
    const found = processesMarked(mark);
    if (found.length === 0) return;
    for (const pid of found) kill(pid);
  }
}

/** Together, in bytes. */
export function memoryOf(processes: readonly number[]): number {
  const kilobytes = processes.map((pid) =>
    Number(/^RssAnon:\s+(\d+)/m.exec(read(pid, "status"))?.[1] ?? 0),
  );
  return kilobytes.reduce((sum, each) => sum + each, 0) * 1024;
}

/** When a process began, as its kernel counts; undefined where there is none, or no /proc. */
export function begunAt(pid: number): string | undefined {
  const stat = read(pid, "stat");
  if (stat === "" || isZombie(pid)) return undefined;
  // The 22nd field; the second one is a name in parentheses, which may hold anything.
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
}

function pids(): number[] {
  try {
    return readdirSync("/proc").map(Number).filter(Number.isInteger);
  } catch {
    return [];
  }
}

function isZombie(pid: number): boolean {
  return /\) Z /.test(read(pid, "stat"));
}

/** Empty for a process that is gone, or another user's. */
function read(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8");
  } catch {
    return "";
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // gone by itself
  }
}
