/**
 * Removes what the kernel keeps when a box's processes have ended: its interface and its cgroups. The
 * reaper runs it; it can also be run by hand: node sandbox/node/clean-up.ts rdev-node7.
 */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { requireCommand } from "../process.ts";
import { removeCgroups } from "./cgroups.ts";

const [name = ""] = process.argv.slice(2);
if (!/^rdev-node\d+$/.test(name)) throw new Error(`"${name}" is not a node, such as rdev-node7`);
await Promise.all([
  removeCgroups(name),
  // It fails if the kernel has already removed the interface, with the node's network namespace.
  promisify(execFile)(await requireCommand("ip"), ["link", "delete", name]).catch(() => undefined),
]);
