import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { childrenOf } from "../../automation/processes/processes.ts";
import type { Reaper } from "../../automation/processes/reaper.ts";
import { type Context, partFolder } from "../context.ts";
import { requireCommand, run, startServer } from "../process.ts";
import { inCgroup, makeCgroups } from "./cgroups.ts";
import { type Link, reserveLink } from "./link.ts";

const INIT = join(import.meta.dirname, "box.sh");
const CLEAN_UP = join(import.meta.dirname, "clean-up.ts");

/** The node's name in the cluster. */
export const NODE_NAME = "node-1";

/** The addresses of the cluster's Services. They exist only in the box. */
export const SERVICE_RANGE = "10.96.0.0/16";
/** The addresses of the node's pods. They exist only in the box. */
export const POD_RANGE = "10.244.0.0/24";

/**
 * Namespaces of their own for a node's network, mounts and processes. Everything in it ends with its
 * first process: the kernel kills the processes, and removes mounts, interfaces and firewall rules.
 * What the kernel keeps, the reaper removes with clean-up.ts.
 */
export interface Box {
  readonly link: Link;
  /** The folder for the node's files, the same path inside and outside. */
  readonly folder: string;
  /** For the kubelet: the cgroup that holds the pods', as the box sees it. */
  readonly cgroupRoot: string;
  /** Starts programs in the box. */
  readonly context: Context;
  /** The command line that runs a program in the box. */
  readonly enter: (command: string, args: readonly string[]) => [string, ...string[]];
}

/** Makes the box and its network: one link to this machine, and no way beyond it. */
export async function startBox(context: Context): Promise<Box> {
  const folder = await partFolder(context, "node");
  const ip = await requireCommand("ip");
  const nsenter = await requireCommand("nsenter");
  const unshare = await requireCommand("unshare");
  const link = await reserveLink(ip);
  context.reaper.ownCommand(process.execPath, [CLEAN_UP, link.name]);
  const cgroup = await makeCgroups(link.name);
  const namespaces = [
    ...["--mount", "--net", "--pid", "--ipc", "--uts"],
    ...(cgroup.namespace ? ["--cgroup"] : []),
  ];
  const [command, ...args] = inCgroup(cgroup.namespace, [
    unshare,
    ...[...namespaces, "--fork", "--mount-proc", "--kill-child"],
    ...["sh", INIT, folder, NODE_NAME, cgroup.processes ?? ""],
  ]);
  const pid = await startServer(context, {
    ...{ name: "box", command, args, folder },
    ready: () => {
      if (!existsSync(join(folder, "ready"))) throw new Error("its mounts are not made");
    },
  });
  if (cgroup.processes) await writeFile(join(cgroup.processes, "cgroup.procs"), String(pid));
  const [init] = childrenOf(pid);
  if (init === undefined) throw new Error("the box has no first process");
  const enter: Box["enter"] = (program, programArgs) =>
    inCgroup(cgroup.processes, [
      nsenter,
      ...["--target", String(init), ...namespaces],
      ...["--", program, ...programArgs],
    ]);
  const box: Box = {
    ...{ link, folder, enter },
    cgroupRoot: cgroup.root,
    context: { ...context, reaper: inBox(context.reaper, enter) },
  };
  await connectBox(box, ip, init);
  return box;
}

/** Starts every program in the box. */
function inBox(reaper: Reaper, enter: Box["enter"]): Reaper {
  return {
    ...reaper,
    spawn: (command, args, options) => {
      const [entered, ...enteredArgs] = enter(command, args);
      return reaper.spawn(entered, enteredArgs, options);
    },
  };
}

async function connectBox({ link, folder, context }: Box, ip: string, init: number): Promise<void> {
  const { name, peer, host, node } = link;
  await execa(ip, ["link", "set", peer, "netns", String(init), "name", "eth0"]);
  await execa(ip, ["address", "add", `${host}/30`, "dev", name]);
  await execa(ip, ["link", "set", name, "up"]);
  const inside = [
    "link set lo up",
    `address add ${node}/30 dev eth0`,
    "link set eth0 up",
    // kube-proxy rewrites the destination, but only after the kernel has found a route to it.
    `route add ${SERVICE_RANGE} dev eth0`,
  ];
  const input = `${inside.join("\n")}\n`;
  await run(context.reaper, ip, ["-batch", "-"], { folder, input });
  // This machine knows no way back to a pod's address.
  const rules = `table ip rdev {
    chain postrouting {
      type nat hook postrouting priority srcnat;
      ip saddr ${POD_RANGE} ip daddr != ${POD_RANGE} masquerade
    }
  }\n`;
  await run(context.reaper, await requireCommand("nft"), ["-f", "-"], { folder, input: rules });
}
