/**
 * The processes of this machine, read from Linux' /proc.
 *
 * The service is supported on Linux only. macOS has no /proc, so there every function here that reads
 * it finds nothing: a killed engine's plugins keep running, a worker's memory has no limit, and no
 * lock holder or runner is proved dead (another runner takes over when its lease ends). The commands
 * of the CLI that run without the service work on macOS in full. Windows is not supported: it has no
 * process groups.
 */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";

export function processIds(): number[] {
  try {
    const pids = readdirSync("/proc").map(Number).filter(Number.isInteger);
    return pids.filter((pid) => !isZombie(pid));
  } catch {
    return [];
  }
}

/** The running processes that `parent` started. */
export function childrenOf(parent: number): number[] {
  return processIds().filter((pid) => statFields(pid)[1] === String(parent));
}

/** The process and the running ones that descend from it. A process whose parent has ended does not. */
export function treeOf(root: number): number[] {
  const children = Map.groupBy(processIds(), (pid) => Number(statFields(pid)[1]));
  const all = [root];
  for (const pid of all) all.push(...(children.get(pid) ?? []));
  return all;
}

/** The command and its arguments; empty for a process that has ended. */
export function argumentsOf(pid: number): string[] {
  return read(pid, "cmdline").split("\0");
}

/** `NAME=value` each; empty for a process that has ended or belongs to another user. */
export function environmentOf(pid: number): string[] {
  return read(pid, "environ").split("\0");
}

/** In clock ticks since the machine booted; undefined for a process that has ended. */
export function startTimeOf(pid: number): string | undefined {
  return isZombie(pid) ? undefined : statFields(pid)[19];
}

/** The kernel reports 100 ticks a second on every platform that Node supports. */
const TICKS_PER_S = 100;

/** When the process started, in ms since the epoch; undefined for a process that has ended. */
export function startedAt(pid: number): number | undefined {
  const ticks = startTimeOf(pid);
  if (ticks === undefined) return undefined;
  const uptime = Number(readFileSync("/proc/uptime", "utf8").split(" ")[0]);
  return Date.now() - (uptime - Number(ticks) / TICKS_PER_S) * 1000;
}

/** The time that the process has used the processors, in seconds; 0 for a process that has ended. */
export function cpuSecondsOf(pid: number): number {
  const [user, system] = statFields(pid).slice(11, 13);
  return (Number(user ?? 0) + Number(system ?? 0)) / TICKS_PER_S;
}

/** The id that the process has in its own PID namespace, such as a container's. */
export function innermostPid(pid: number): number {
  return Number(/^NSpid:\s+(.*)$/m.exec(read(pid, "status"))?.[1]?.split(/\s+/).at(-1) ?? pid);
}

/** The memory that the processes use together, without files that the kernel can drop, in bytes. */
export function memoryOf(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + memoryField(pid, "status", "RssAnon"), 0);
}

/** The resident memory of the processes, in bytes. A page that two of them share counts twice. */
export function residentMemoryOf(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + memoryField(pid, "status", "VmRSS"), 0);
}

/** The process's largest resident memory so far, in bytes; 0 for a process that has ended. */
export function peakMemoryOf(pid: number): number {
  return memoryField(pid, "status", "VmHWM");
}

/** The process's resident memory, in bytes. A page that n processes share counts 1/n for each. */
export function proportionalMemoryOf(pid: number): number {
  return memoryField(pid, "smaps_rollup", "Pss");
}

/** Also true for a zombie, and for a process of another user. */
export function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== "ESRCH";
  }
}

/** The process has ended, but its parent has not collected its exit code. */
export function isZombie(pid: number): boolean {
  return statFields(pid)[0] === "Z";
}

/** Sends SIGKILL. Does nothing for a process that has ended. */
export function killProcess(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // has ended
  }
}

/** Sends SIGKILL to all processes of a group. Does nothing if they have ended. */
export function killGroup(leader: number): void {
  killProcess(-leader);
}

/**
 * The running processes, except this one, that have an environment variable starting with one of
 * `prefixes` (`NAME=value`). It also finds processes whose parents have ended, such as an engine's
 * plugins.
 */
export function processesWithVariable(...prefixes: readonly string[]): number[] {
  const isWanted = (variable: string) => prefixes.some((prefix) => variable.startsWith(prefix));
  return processIds().filter((pid) => pid !== process.pid && environmentOf(pid).some(isWanted));
}

/** Sends SIGKILL to `processesWithVariable(prefix)`, and to those that they start meanwhile. */
export function killProcessesWithVariable(prefix: string): void {
  for (let round = 0; round < 5; round++) {
    const pids = processesWithVariable(prefix);
    if (pids.length === 0) return;
    for (const pid of pids) killProcess(pid);
  }
}

/**
 * Within which a process id is unique: one boot of one kernel, and one PID namespace on it. Empty
 * where that is unknown; no process id proves anything then.
 */
export function thisMachine(): string {
  try {
    const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
    return `${boot}/${readlinkSync("/proc/self/ns/pid")}`;
  } catch {
    return "";
  }
}

/** Linux' number of the initial PID namespace (PROC_PID_INIT_INO), which contains all others. */
const INITIAL_NAMESPACE = "pid:[4026531836]";

/** False in a container: it sees only some of the machine's processes, under other ids. */
export function seesAllProcesses(): boolean {
  return thisMachine().endsWith(INITIAL_NAMESPACE);
}

/**
 * The fields of /proc/<pid>/stat, starting with the third (the state). The second is the program's
 * name in parentheses, and may itself hold spaces and parentheses.
 */
function statFields(pid: number): string[] {
  const stat = read(pid, "stat");
  return stat === "" ? [] : stat.slice(stat.lastIndexOf(")") + 2).split(" ");
}

/** A size that the kernel reports, in bytes; 0 for a process that has ended. */
function memoryField(pid: number, file: string, name: string): number {
  const found = new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(read(pid, file));
  return Number(found?.[1] ?? 0) * 1024;
}

/** Empty for a process that has ended or belongs to another user. */
function read(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8");
  } catch {
    return "";
  }
}
