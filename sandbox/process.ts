import type { ChildProcess, SpawnOptions } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { InfraError, redact } from "../core/errors.ts";
import type { Context } from "./context.ts";
import type { Warden } from "./warden.ts";

const READY_DEADLINE_MS = 60_000;
const POLL_MS = 50;
const LOG_LINES = 15;

export interface ServerOptions {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  /** Where its log is written, and where it runs. */
  readonly folder: string;
  /** Beside PATH and HOME, all that it is given. */
  readonly env?: Readonly<Record<string, string>>;
  readonly user?: { readonly uid: number; readonly gid: number };
  /** @default "SIGKILL" */
  readonly stopSignal?: NodeJS.Signals;
  /** Throws until the server answers. */
  readonly ready: () => unknown;
}

/**
 * Starts a server and waits until it answers.
 * Errors: RDEV_SANDBOX with the last lines of its log, when it ends or does not answer in a minute.
 */
export async function startServer(context: Context, options: ServerOptions): Promise<void> {
  const { name, folder } = options;
  const logFile = join(folder, `${name}.log`);
  const log = openSync(logFile, "a", 0o600);
  const child = context.warden.spawn(options.command, options.args, {
    cwd: folder,
    env: serverEnvironment(folder, options.env),
    stdio: ["ignore", log, log],
    ...options.user,
    ...(options.stopSignal && { stopSignal: options.stopSignal }),
  });
  closeSync(log);
  // An idle sandbox is kept up by whoever started it, not by its servers.
  child.unref();
  const ended = endOf(child);
  const stop = new AbortController();
  try {
    await Promise.race([
      until(options.ready, stop.signal),
      ended.then((how) => Promise.reject(new Error(how))),
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
  void ended.then((how) => {
    if (!context.warden.isEnding()) context.report(name, how);
  });
}

function serverEnvironment(home: string, extra: Readonly<Record<string, string>> = {}) {
  return { PATH: process.env.PATH ?? "", HOME: home, TMPDIR: home, LANG: "C.UTF-8", ...extra };
}

async function endOf(child: ChildProcess): Promise<string> {
  try {
    const [code, signal] = (await once(child, "exit")) as [number | null, NodeJS.Signals | null];
    return `it ended with ${signal ?? `code ${code}`}`;
  } catch (error) {
    return `it could not be run (${(error as NodeJS.ErrnoException).code})`;
  }
}

/** Asks again and again until `check` no longer throws. */
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
  /** Beside PATH and HOME, all that it is given. */
  readonly env?: Readonly<Record<string, string>>;
  /** Written to its standard input: the way for secrets, which arguments are not. */
  readonly input?: string;
  readonly user?: { readonly uid: number; readonly gid: number };
}

/** Runs a command to its end and returns its standard output. Throws with its standard error. */
export async function run(
  warden: Warden,
  command: string,
  args: readonly string[],
  { folder, env, input, user }: RunOptions,
): Promise<string> {
  const options: SpawnOptions = { cwd: folder, env: serverEnvironment(folder, env), ...user };
  const child = warden.spawn(command, args, { ...options, stdio: "pipe" });
  const ended = endOf(child);
  child.stdin?.on("error", () => undefined);
  child.stdin?.end(input ?? "");
  const [how, output, errors] = await Promise.all([
    ended,
    child.stdout ? text(child.stdout) : "",
    child.stderr ? text(child.stderr) : "",
  ]);
  if (child.exitCode !== 0) throw new Error(`${command}: ${how}\n${errors || output}`.trim());
  return output;
}
