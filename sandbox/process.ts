import type { ChildProcess, SpawnOptions } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import which from "which";
import { isRunning, killGroup } from "../automation/processes/processes.ts";
import type { Reaper } from "../automation/processes/reaper.ts";
import { InfraError, redact } from "../core/errors.ts";
import type { Context } from "./context.ts";

const READY_DEADLINE_MS = 60_000;
const POLL_MS = 50;
const LOG_LINES = 15;

/** Debian installs servers here, and a user's PATH often lacks these folders. */
const SYSTEM_FOLDERS = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/** The path of a command; undefined if it is not installed. */
export async function findCommand(
  name: string,
  path: string = process.env.PATH ?? "",
): Promise<string | undefined> {
  const folders = [...path.split(delimiter), ...SYSTEM_FOLDERS].filter((folder) => folder !== "");
  return (await which(name, { path: folders.join(delimiter), nothrow: true })) ?? undefined;
}

/** The path of a command. Throws RDEV_PREREQUISITE if it is not installed. */
export async function requireCommand(name: string): Promise<string> {
  const path = await findCommand(name);
  if (!path) throw new InfraError("RDEV_PREREQUISITE", `There is no \`${name}\` on this machine.`);
  return path;
}

export interface ServerOptions {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  /** The server runs in this folder and writes its log here. */
  readonly folder: string;
  /** The server's whole environment, in addition to PATH, HOME, TMPDIR and LANG. */
  readonly env?: Readonly<Record<string, string>>;
  readonly user?: { readonly uid: number; readonly gid: number };
  /** @default "SIGKILL" */
  readonly stopSignal?: NodeJS.Signals;
  /** Throws until the server answers. */
  readonly ready: () => unknown;
}

/**
 * Starts a server, waits until it answers and returns its process id. If it exits or does not answer
 * within a minute, throws RDEV_SANDBOX with the last lines of its log.
 */
export async function startServer(context: Context, options: ServerOptions): Promise<number> {
  const { name, folder } = options;
  const logFile = join(folder, `${name}.log`);
  const log = openSync(logFile, "a", 0o600);
  const child = context.reaper.spawn(options.command, options.args, {
    cwd: folder,
    env: serverEnvironment(folder, options.env),
    stdio: ["ignore", log, log],
    ...options.user,
    ...(options.stopSignal && { stopSignal: options.stopSignal }),
  });
  closeSync(log);
  // The servers must not keep the process alive: whoever started the sandbox decides when it ends.
  child.unref();
  const exited = exitOf(child);
  const stop = new AbortController();
  try {
    await Promise.race([
      until(options.ready, stop.signal),
      exited.then((reason) => Promise.reject(new Error(reason))),
    ]);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const lines = (await readFile(logFile, "utf8")).trimEnd().split("\n").slice(-LOG_LINES);
    throw new InfraError(
      "RDEV_SANDBOX",
      redact(
        [`${name} did not start: ${reason}. The end of its log:`, ...lines].join("\n  "),
        context.secrets,
      ),
    );
  } finally {
    stop.abort();
  }
  void exited.then((reason) => {
    if (!context.reaper.isClosing()) context.report(name, reason);
  });
  return child.pid ?? 0;
}

/** A server that can be away for a while. */
export interface RestartableServer {
  /** Kills it without a shutdown. Resolves when its processes have ended. */
  kill(): Promise<void>;
  /** Starts it again, and resolves as at its first start. */
  start(): Promise<void>;
}

/** Starts a server by a function that returns its process id, and that can be called again. */
export async function startRestartable(start: () => Promise<number>): Promise<RestartableServer> {
  let leader = await start();
  return {
    async kill() {
      killGroup(leader);
      await until(() => {
        if (isRunning(-leader)) throw new Error("it has not ended");
      });
    },
    async start() {
      leader = await start();
    },
  };
}

function serverEnvironment(home: string, extra: Readonly<Record<string, string>> = {}) {
  return { PATH: process.env.PATH ?? "", HOME: home, TMPDIR: home, LANG: "C.UTF-8", ...extra };
}

async function exitOf(child: ChildProcess): Promise<string> {
  try {
    const [code, signal] = (await once(child, "exit")) as [number | null, NodeJS.Signals | null];
    return `it ended with ${signal ?? `code ${code}`}`;
  } catch (error) {
    return `it could not be run (${(error as NodeJS.ErrnoException).code})`;
  }
}

/**
 * Calls `check` until it does not throw. It is not p-retry because that gives up at a TypeError, which
 * a check of an incomplete answer may throw.
 */
export async function until(
  check: () => unknown,
  signal?: AbortSignal,
  deadlineMs = READY_DEADLINE_MS,
): Promise<void> {
  const deadline = Date.now() + deadlineMs;
  while (!signal?.aborted) {
    try {
      await check();
      return;
    } catch (error) {
      if (Date.now() > deadline) {
        const last = error instanceof Error ? error.message : String(error);
        throw new Error(`no answer within ${deadlineMs / 1000} s (${last})`, { cause: error });
      }
    }
    await sleep(POLL_MS);
  }
}

export interface RunOptions {
  readonly folder: string;
  /** The command's whole environment, in addition to PATH, HOME, TMPDIR and LANG. */
  readonly env?: Readonly<Record<string, string>>;
  /** Written to its standard input. Use it for secrets: other users can read arguments. */
  readonly input?: string;
  readonly user?: { readonly uid: number; readonly gid: number };
}

/** Runs a command to its end and returns its standard output. Throws with its standard error. */
export async function run(
  reaper: Reaper,
  command: string,
  args: readonly string[],
  { folder, env, input, user }: RunOptions,
): Promise<string> {
  const options: SpawnOptions = { cwd: folder, env: serverEnvironment(folder, env), ...user };
  const child = reaper.spawn(command, args, { ...options, stdio: "pipe" });
  const exited = exitOf(child);
  child.stdin?.on("error", () => undefined);
  child.stdin?.end(input ?? "");
  const [reason, output, errors] = await Promise.all([
    exited,
    child.stdout ? text(child.stdout) : "",
    child.stderr ? text(child.stderr) : "",
  ]);
  if (child.exitCode !== 0) throw new Error(`${command}: ${reason}\n${errors || output}`.trim());
  return output;
}
