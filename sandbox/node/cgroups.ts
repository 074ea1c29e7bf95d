import { existsSync, readdirSync, readFileSync, rmdirSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { killProcess } from "../../automation/processes/processes.ts";
import { until } from "../process.ts";

/** Killed processes leave their cgroups within this time. */
const REMOVAL_DEADLINE_MS = 15_000;

/** What the kubelet and runc need. In version 2, `devices` and `freezer` are no controllers. */
const NEEDED = {
  1: ["cpu", "cpuacct", "cpuset", "devices", "freezer", "memory", "pids"],
  2: ["cpu", "cpuset", "memory", "pids"],
} as const;

/** A mounted hierarchy of cgroups. */
interface Hierarchy {
  readonly path: string;
  readonly version: 1 | 2;
  /** In version 2: the controllers that groups below the top have. */
  readonly controllers: readonly string[];
}

/** The version that manages this machine's memory; undefined if no hierarchy is mounted. */
export function cgroupVersion(): 1 | 2 | undefined {
  const all = hierarchies();
  if (all.some(({ version, controllers }) => version === 1 && controllers.includes("memory"))) {
    return 1;
  }
  return all.some(({ version }) => version === 2) ? 2 : undefined;
}

/** The controllers that a node needs and this machine does not have. */
export function missingControllers(): string[] {
  const version = cgroupVersion() ?? 2;
  const found = hierarchies()
    .filter((hierarchy) => hierarchy.version === version)
    .flatMap(({ controllers }) => controllers);
  return NEEDED[version].filter((name) => !found.includes(name));
}

/** The top-level cgroup of a node. */
export interface NodeCgroup {
  /** The kubelet's `cgroupRoot`, as the box sees it. */
  readonly root: string;
  /** With version 2 only: the node's group, which becomes the root in a cgroup namespace. */
  readonly namespace?: string;
  /** With version 2 only: the group below it for the processes that are not in pods. */
  readonly processes?: string;
}

/**
 * Makes a top-level cgroup in every hierarchy. With version 2, the kubelet hands controllers on from
 * the top; in a cgroup namespace, the node's group is its top, and the machine's top does not change.
 * A group that hands controllers on may hold no process, so these get a group beside the pods'.
 */
export async function makeCgroups(name: string): Promise<NodeCgroup> {
  const version = cgroupVersion();
  for (const path of groups(name)) {
    await mkdir(path, { recursive: true });
    // In version 1 a new cpuset is empty, and an empty one accepts no process.
    for (const file of ["cpuset.cpus", "cpuset.mems"]) {
      if (version === 1 && existsSync(join(path, file))) {
        await writeFile(join(path, file), await readFile(join(path, "..", file)));
      }
    }
  }
  const [namespace] = groups(name);
  if (version !== 2 || namespace === undefined) return { root: `/${name}` };
  const processes = join(namespace, "box");
  await mkdir(processes, { recursive: true });
  return { root: "/", namespace, processes };
}

/** The command line that runs a command in a cgroup; the same command without one. */
export function inCgroup(
  group: string | undefined,
  [command, ...args]: readonly [string, ...string[]],
): [string, ...string[]] {
  if (group === undefined) return [command, ...args];
  return ["sh", "-c", 'echo $$ >"$0/cgroup.procs" && exec "$@"', group, command, ...args];
}

/** Kills the processes in a cgroup and below, and removes it from every hierarchy. Idempotent. */
export async function removeCgroups(name: string): Promise<void> {
  await Promise.all(
    groups(name).map((path) => until(() => remove(path), undefined, REMOVAL_DEADLINE_MS)),
  );
}

function groups(name: string): string[] {
  return hierarchies().map(({ path }) => join(path, name));
}

/** Throws while the kernel has not yet ended the killed processes. */
function remove(path: string): void {
  if (!existsSync(path)) return;
  const processes = readFileSync(join(path, "cgroup.procs"), "utf8").split("\n");
  // 0 stands for a process that this one cannot see.
  for (const pid of processes.map(Number).filter((id) => id > 0)) killProcess(pid);
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    if (entry.isDirectory()) remove(join(path, entry.name));
  }
  rmdirSync(path);
}

function hierarchies(): Hierarchy[] {
  const mounts = readFileSync("/proc/self/mounts", "utf8").split("\n");
  return mounts.flatMap((line): Hierarchy[] => {
    const [, path = "", type, options = ""] = line.split(" ");
    if (type === "cgroup") return [{ path, version: 1, controllers: options.split(",") }];
    if (type !== "cgroup2") return [];
    const passedOn = readFileSync(join(path, "cgroup.subtree_control"), "utf8");
    return [{ path, version: 2, controllers: passedOn.trim().split(" ") }];
  });
}
