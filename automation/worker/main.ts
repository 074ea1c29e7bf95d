import "../engine/quirks/lazy-modules.ts"; // before the SDK
import { flushCompileCache } from "node:module";
import { constants, setPriority } from "node:os";
import type { PulumiFn } from "@pulumi/pulumi/automation/index.js";
import { processEnvironment } from "../../core/connections.ts";
import { installedPulumi } from "../engine/command.ts";
import { serveKeptPlugins } from "../engine/quirks/kept-plugins.ts";
import { killWorkerProcesses, WORKER_MARK } from "./environment.ts";
import { parseCommand, type Command, type Report } from "./messages.ts";
import { runJob } from "./run-job.ts";

// A worker's process. It loads what every operation needs, waits for its job, runs it, and exits.
// messages.ts has the commands that it gets and the reports that it sends.

// The service must stay responsive while workers run. Engine and plugins inherit the lower priority.
setPriority(constants.priority.PRIORITY_BELOW_NORMAL);

let program: PulumiFn | undefined;
let onLockAnswer: ((answer: boolean) => void) | undefined;
let onFoundRecorded: (() => void) | undefined;
const ports = Promise.withResolvers<Extract<Command, { type: "plugins" }>["ports"]>();
const cancel = new AbortController();

process.on("message", (message) => {
  const command = parseCommand(message);
  if (command.type === "prepare") void prepare(command);
  else if (command.type === "run") void run(command);
  else if (command.type === "plugins") ports.resolve(command.ports);
  else if (command.type === "cancel") cancel.abort();
  else if (command.type === "lease") renewLease(command.ms);
  else if (command.type === "foundRecorded") onFoundRecorded?.();
  else onLockAnswer?.(command.answer);
});

// The service has ended. Another replica may retry the operation, so this worker must stop at once;
// the state lists what was under way as pending.
process.on("disconnect", exitWithAll);
// Ctrl-C reaches the whole process group, but only the service decides what happens to an operation.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => undefined);

let leaseTimer: NodeJS.Timeout | undefined;
/** The mark of the plugins that the service lends. */
let pluginMark: string | undefined;

/** A service that hangs does not disconnect; its lease runs out instead. */
function renewLease(ms: number): void {
  clearTimeout(leaseTimer);
  leaseTimer = setTimeout(exitWithAll, ms);
}

function exitWithAll(): void {
  killWorkerProcesses(processEnvironment()[WORKER_MARK] ?? "no such mark");
  if (pluginMark !== undefined) killWorkerProcesses(pluginMark);
  process.exit(1);
}

async function prepare({ program: path }: Extract<Command, { type: "prepare" }>): Promise<void> {
  const module = (await import(path ?? "../../index.ts")) as { default: PulumiFn };
  program = module.default;
  // Looks up the CLI early. An error is ignored here because the operation reports it.
  await installedPulumi().catch(() => undefined);
  send({ type: "ready" });
}

async function run({ job, workDir, lease }: Extract<Command, { type: "run" }>): Promise<void> {
  pluginMark = lease?.mark;
  const plugins = lease && (await serveKeptPlugins({ ...lease, workDir, ports: ports.promise }));
  const result = await runJob(job, {
    program: program!,
    workDir,
    ...(plugins && { env: plugins.env }),
    signal: cancel.signal,
    onEvent: (event) => send({ type: "event", event }),
    onStart: (pid) => send({ type: "engine", pid }),
    onFact: (fact) =>
      new Promise((resolve) => {
        onFoundRecorded = resolve;
        send({ type: "found", fact });
      }),
    mayBreakLocks: (holders) =>
      new Promise((resolve) => {
        onLockAnswer = resolve;
        send({ type: "locked", holders: [...holders] });
      }),
  });
  // The service ends the worker with SIGKILL, and Node writes its compile cache only at a normal exit.
  flushCompileCache();
  const succeeded = result.outcome.result === "succeeded" && !result.killed;
  const keepsPlugins = succeeded && plugins !== null && (await plugins.areReusable());
  send({ type: "done", ...result, keepsPlugins });
}

function send(report: Report): void {
  process.send?.(report);
}
