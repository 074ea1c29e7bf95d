import { spawn } from "node:child_process";
import { PulumiCommand } from "@pulumi/pulumi/automation/index.js";
import { processEnvironment } from "../../core/connections.ts";
import { InfraError } from "../../core/errors.ts";
import { homeWithoutLogs } from "./home.ts";
import { childrenOf, killProcess } from "./processes.ts";

/** Pulumi's CLI ended with another exit code than 0. Its text is not for users: see messages.ts. */
export class CommandFailure extends Error {
  readonly stderr: string;
  /** It did not end by itself: something ended it. */
  readonly killed: boolean;

  constructor(stderr: string, killed: boolean) {
    super("Pulumi's CLI failed");
    this.stderr = stderr;
    this.killed = killed;
  }
}

export interface CommandOptions {
  readonly workDir: string;
  /** Beside this process's own. */
  readonly env?: Readonly<Record<string, string>>;
  /** Asks it to stop: what is under way is finished first. */
  readonly signal?: AbortSignal;
  /** Stops it at once: what is under way is lost. */
  readonly kill?: AbortSignal;
  /** Ends it by force, for it does not react. */
  readonly force?: AbortSignal;
  /** Told its process id as soon as it runs. */
  readonly onStart?: (pid: number) => void;
}

/** Runs Pulumi's CLI and answers with what it wrote to stdout. Throws CommandFailure. */
export async function runPulumi(
  args: readonly string[],
  { workDir, env, signal, kill, force, onStart }: CommandOptions,
): Promise<string> {
  const home = await homeWithoutLogs();
  signal?.throwIfAborted();
  const child = spawn("pulumi", [...args, "--non-interactive"], {
    cwd: workDir,
    env: { ...processEnvironment(), PULUMI_SKIP_UPDATE_CHECK: "true", ...env, ...home },
    stdio: ["ignore", "pipe", "pipe"],
    // Out of the terminal's group: Ctrl-C would reach it beside our own signal, and two are a kill.
    detached: true,
  });
  if (child.pid !== undefined) onStart?.(child.pid);
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  const interrupt = () => child.kill("SIGINT");
  const end = () => {
    // Pulumi's plugin for dynamic resources does not notice that its engine is gone, and would stay.
    const plugins = child.pid === undefined ? [] : childrenOf(child.pid);
    child.kill("SIGKILL");
    plugins.forEach(killProcess);
  };
  force?.addEventListener("abort", end);
  signal?.addEventListener("abort", interrupt);
  kill?.addEventListener("abort", interrupt); // the engine ends its plugins at the second one
  try {
    const code = await new Promise<number | null>((resolve, reject) => {
      child.once("error", reject).once("close", resolve);
    });
    if (code !== 0) throw new CommandFailure(stderr, code === null);
    return stdout;
  } catch (error) {
    throw (error as NodeJS.ErrnoException).code === "ENOENT" ? notInstalled() : error;
  } finally {
    force?.removeEventListener("abort", end);
    signal?.removeEventListener("abort", interrupt);
    kill?.removeEventListener("abort", interrupt);
  }
}

let installed: Promise<PulumiCommand> | undefined;

/** The CLI on PATH, looked at once a process. Throws RDEV_PREREQUISITE. */
export function installedPulumi(): Promise<PulumiCommand> {
  installed ??= ask().catch((error: unknown) => {
    installed = undefined;
    throw error;
  });
  return installed;
}

/** The SDK asks for the version with this process's variables, which it reads before it waits. */
async function ask(): Promise<PulumiCommand> {
  const home = await homeWithoutLogs();
  // eslint-disable-next-line no-restricted-properties -- the SDK takes no variables of ours here
  const { env } = process;
  const before = Object.keys(home).map((name) => [name, env[name]] as const);
  Object.assign(env, home);
  const asked = PulumiCommand.get();
  for (const [name, value] of before) {
    if (value === undefined) delete env[name];
    else env[name] = value;
  }
  return asked.catch((error: unknown) => {
    throw unsuitable(error);
  });
}

/** Commands that the SDK adds to each operation, 0.2 to 0.5 s each. The events tell all of it. */
const NEEDLESS: Readonly<Record<string, string>> = {
  "stack select": "",
  "stack output": "{}",
  "stack history": "[]",
};

/** The CLI as the SDK is to use it in one operation: `run` is the one method that it calls. */
export function pulumiFor(
  pulumi: PulumiCommand,
  { kill, force, onStart }: Pick<CommandOptions, "kill" | "force" | "onStart">,
): PulumiCommand {
  const run = async (
    args: string[],
    workDir: string,
    env: Record<string, string>,
    _onOutput?: unknown,
    _onError?: unknown,
    signal?: AbortSignal,
  ) => {
    const stdout =
      NEEDLESS[args.slice(0, 2).join(" ")] ??
      (await runPulumi(args, {
        workDir,
        env: { ...env, PULUMI_AUTOMATION_API: "true" },
        ...(signal && { signal }),
        ...(kill && { kill }),
        ...(force && { force }),
        ...(onStart && { onStart }),
      }));
    return { stdout, stderr: "", code: 0 };
  };
  return Object.assign(Object.create(pulumi) as PulumiCommand, { run });
}

function notInstalled(): InfraError {
  return new InfraError(
    "RDEV_PREREQUISITE",
    "The command pulumi is not on PATH. Install Pulumi (https://www.pulumi.com/docs/install), " +
      'or run "npm run sandbox": it brings one, and prints how to use it.',
  );
}

function unsuitable(error: unknown): InfraError {
  const text = String(error);
  if (text.includes("ENOENT")) return notInstalled();
  const version = /(Minimum version requirement failed|Major version mismatch)\.[^\n]*/.exec(text);
  return new InfraError(
    "RDEV_PREREQUISITE",
    `The command pulumi on PATH cannot be used. ${version?.[0] ?? '"pulumi version" fails.'}`,
  );
}
