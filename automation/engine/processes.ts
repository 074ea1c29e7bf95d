/** Processes as Linux' /proc shows them: elsewhere there seem to be none. */
import { readdirSync, readFileSync } from "node:fs";

/** All that live. */
export function processes(): number[] {
  try {
    const pids = readdirSync("/proc").map(Number).filter(Number.isInteger);
    return pids.filter((pid) => !isZombie(pid));
  } catch {
    return [];
  }
}

/** Those that live and were started by it. */
export function childrenOf(parent: number): number[] {
  return processes().filter((pid) => fieldsOf(pid)[1] === String(parent));
}

/** The command and its arguments. Of a process that is gone: empty. */
export function wordsOf(pid: number): string[] {
  return read(pid, "cmdline").split("\0");
}

/** As `NAME=value`. Of a process that is gone, or another user's: empty. */
export function variablesOf(pid: number): string[] {
  return read(pid, "environ").split("\0");
}

/** When a process began, as its kernel counts; undefined where there is none, or no /proc. */
export function begunAt(pid: number): string | undefined {
  return isZombie(pid) ? undefined : fieldsOf(pid)[19];
}

/** Together, in bytes. */
export function memoryOf(pids: readonly number[]): number {
  const kilobytes = pids.map((pid) =>
    Number(/^RssAnon:\s+(\d+)/m.exec(read(pid, "status"))?.[1] ?? 0),
  );
  return kilobytes.reduce((sum, each) => sum + each, 0) * 1024;
}

/** Ends a process at once. */
export function killProcess(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // gone by itself
  }
}

const isZombie = (pid: number): boolean => fieldsOf(pid)[0] === "Z";

/** Of its stat, from the 3rd on; the 2nd is a name in parentheses, which may hold anything. */
function fieldsOf(pid: number): string[] {
  const stat = read(pid, "stat");
  return stat === "" ? [] : stat.slice(stat.lastIndexOf(")") + 2).split(" ");
}

/** Empty for a process that is gone, or another user's. */
function read(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8");
  } catch {
    return "";
  }
}
