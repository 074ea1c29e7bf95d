import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { execa } from "execa";
import {
  argumentsOf,
  childrenOf,
  processIds,
  startTimeOf,
} from "../../automation/processes/processes.ts";
import type { Link } from "../../sandbox/node/link.ts";
import { until } from "../../sandbox/process.ts";
import { NODE, type StartedSandbox, startedSandbox } from "./started-sandbox.ts";

/** A sandbox with a real node, as a process of its own. */
export interface RealSandbox extends StartedSandbox {
  readonly link: Link;
  /** The processes on the node, pods' included, and when they started. */
  readonly processes: ReadonlyMap<number, string | undefined>;
}

export async function startRealSandbox(): Promise<RealSandbox> {
  const started = await startedSandbox<Pick<RealSandbox, "link">>([...NODE, "--real-node"]);
  const pids = processesOnNode(started.folder);
  return { ...started, processes: new Map(pids.map((pid) => [pid, startTimeOf(pid)])) };
}

function processesOnNode(folder: string): number[] {
  const box = processIds().find((pid) => {
    const [command, ...args] = argumentsOf(pid);
    return command?.endsWith("unshare") && args.includes(join(folder, "node"));
  });
  const [init] = childrenOf(box ?? assert.fail("no box runs"));
  const namespace = pidNamespace(init ?? assert.fail("the box has no first process"));
  const found = processIds().filter((pid) => pidNamespace(pid) === namespace);
  // A pod has a namespace of its own, and is a child of a process on the node.
  for (const pid of found) found.push(...childrenOf(pid).filter((one) => !found.includes(one)));
  return found;
}

function pidNamespace(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/pid`);
  } catch {
    return undefined; // has ended
  }
}

/** Waits until no process, mount, interface, cgroup or file of an ended sandbox is left. */
export async function nothingIsLeft({ folder, link, processes }: RealSandbox): Promise<void> {
  await until(
    async () => {
      const running = [...processes].filter(([pid, time]) => time && startTimeOf(pid) === time);
      assert.deepEqual(running, [], "its processes have ended");
      const places = [folder, link.name, link.peer];
      assert.deepEqual(processesWithMounts(places), [], "its mounts are gone");
      const { stdout: links } = await execa("ip", ["link"]);
      assert.ok(!new RegExp(`(${link.name}|${link.peer})\\b`).test(links), links);
      assert.deepEqual(cgroupsNamed(link.name), [], "its cgroups are removed");
      assert.equal(existsSync(folder), false, `${folder} is removed`);
    },
    undefined,
    20_000,
  );
}

function processesWithMounts(places: readonly string[]): number[] {
  return processIds().filter((pid) => {
    try {
      const mounts = readFileSync(`/proc/${pid}/mountinfo`, "utf8");
      return places.some((place) => mounts.includes(`${place}/`));
    } catch {
      return false; // has ended
    }
  });
}

function cgroupsNamed(name: string): string[] {
  const mounts = readFileSync("/proc/self/mounts", "utf8").split("\n");
  const hierarchies = mounts.flatMap((line) => {
    const [, path = "", type = ""] = line.split(" ");
    return type.startsWith("cgroup") ? [path] : [];
  });
  return hierarchies.filter((path) => readdirSync(path).includes(name));
}
