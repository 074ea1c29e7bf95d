import { rm } from "node:fs/promises";
import { killMarked } from "./processes.ts";

// The other end of this pipe is held by the service's process alone: the kernel closes it when that
// process ends, in whatever way. Then nothing of its workers may stay, though they be killed with it.
const [mark = "", folder = ""] = process.argv.slice(2);
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => undefined);
process.stdin.resume().once("end", () => void end());

async function end(): Promise<void> {
  killMarked(mark);
  await rm(folder, { recursive: true, force: true, maxRetries: 5 });
}
