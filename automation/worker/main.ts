import { constants, setPriority } from "node:os";
import type { PulumiFn } from "@pulumi/pulumi/automation/index.js";
import { processEnvironment } from "../../core/connections.ts";
import { installedPulumi } from "../engine/command.ts";
import { WORKER_MARK } from "./environment.ts";
import { parseOrder, type Order, type Report } from "./messages.ts";
import { perform } from "./perform.ts";
import { killMarked } from "./processes.ts";

// A worker: one process for one operation. It loads what every operation needs, waits for its job,
// does it, and ends. What it is told and what it tells is in messages.ts.

// Who asks the service does not wait for what runs; the engine and its plugins inherit it.
setPriority(constants.priority.PRIORITY_BELOW_NORMAL);

let program: PulumiFn | undefined;
let answerLocks: ((answer: boolean) => void) | undefined;
let noted: (() => void) | undefined;
const cancel = new AbortController();

process.on("message", (message) => {
  const order = parseOrder(message);
  if (order.type === "prepare") void prepare(order);
  else if (order.type === "run") void run(order);
  else if (order.type === "cancel") cancel.abort();
  else if (order.type === "lease") renew(order.ms);
  else if (order.type === "noted") noted?.();
  else answerLocks?.(order.answer);
});

// The service is gone, in whatever way, or it hangs. Another one may take the operation up: nothing
// of this one may go on. What was under way is in the state as pending.
process.on("disconnect", endAll);
// Ctrl-C reaches a whole group of processes: the service says what is to be done.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => undefined);

let lease: NodeJS.Timeout | undefined;

function renew(ms: number): void {
  clearTimeout(lease);
  lease = setTimeout(endAll, ms);
}

function endAll(): void {
  killMarked(processEnvironment()[WORKER_MARK] ?? "no such mark");
  process.exit(1);
}

async function prepare({ program: path }: Extract<Order, { type: "prepare" }>): Promise<void> {
  const module = (await import(path ?? "../../index.ts")) as { default: PulumiFn };
  program = module.default;
  // Looked at once a process. What is wrong with it, the operation tells.
  await installedPulumi().catch(() => undefined);
  tell({ type: "ready" });
}

async function run({ job, workDir }: Extract<Order, { type: "run" }>): Promise<void> {
  const done = await perform(job, {
    program: program!,
    workDir,
    signal: cancel.signal,
    onEvent: (event) => tell({ type: "event", event }),
    onStart: (pid) => tell({ type: "engine", pid }),
    onFoundEmpty: () =>
      new Promise((resolve) => {
        noted = resolve;
        tell({ type: "foundEmpty" });
      }),
    mayBreakLocks: (holders) =>
      new Promise((resolve) => {
        answerLocks = resolve;
        tell({ type: "locked", holders: [...holders] });
      }),
  });
  tell({ type: "done", ...done });
}

function tell(report: Report): void {
  process.send?.(report);
}
