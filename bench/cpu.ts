import { readFileSync } from "node:fs";

/** The kernel reports 100 ticks a second on every platform that Node supports. */
const TICKS_PER_S = 100;

/**
 * The CPU time, in s, of all descendants of a process, this one by default, that have ended and whose
 * parents collected them (cutime and cstime in /proc/<pid>/stat). Linux only.
 */
export function cpuOfEnded(pid: number | "self" = "self"): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[13]) + Number(fields[14])) / TICKS_PER_S;
}
