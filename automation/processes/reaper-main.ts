import { createInterface } from "node:readline";
import { Owned, type OwnedMessage } from "./owned.ts";

// The reaper's process (reaper.ts). Its standard input is a pipe that only the owner's process holds
// open: the kernel closes it however the owner ends, also after SIGKILL. The reaper ignores signals
// that a terminal sends to both processes, because it must outlive the owner.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => undefined);

const owned = new Owned();
for await (const line of createInterface({ input: process.stdin })) {
  owned.apply(JSON.parse(line) as OwnedMessage); // written by reaper.ts of this same version
}
await owned.cleanUp();
