import { createInterface } from "node:readline";
import { cleanUp, type Group } from "./clean-up.ts";
import type { WardenMessage } from "./warden.ts";

// The other end of this pipe is held by the sandbox's process alone: the kernel closes it when that
// process ends, in whatever way. Signals meant for that process must not end this one before.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => undefined);

const groups = new Map<number, Group>();
const folders = new Set<string>();

for await (const line of createInterface({ input: process.stdin })) {
  const message = JSON.parse(line) as WardenMessage;
  if ("watch" in message) groups.set(message.watch.leader, message.watch);
  else if ("ended" in message) groups.delete(message.ended);
  else folders.add(message.folder);
}
await cleanUp(groups.values(), folders);
