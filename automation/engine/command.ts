import { spawn } from "node:child_process";
import { PulumiCommand } from "@pulumi/pulumi/automation/index.js";
import { processEnvironment } from "../../core/connections.ts";
import { InfraError } from "../../core/errors.ts";
import { once } from "../../core/once.ts";
import { GOGC } from "./plugin-process.ts";
import { cliFailure, type CliFailure } from "./quirks/cli-text.ts";
import { homeWithoutLogs } from "./quirks/debug-logs.ts";
import { killEngine } from "./quirks/orphaned-plugins.ts";
import { skippedCommand } from "./quirks/skipped-commands.ts";
import { timed } from "./timeline.ts";
import { isSupportedCli, sdkVersion } from "./versions.ts";

/** A command of Pulumi's CLI failed. Its text is not for users: see `commandFailure`. */
export class CommandFailure extends Error {
  readonly stderr: string;
  /** A signal ended it. */
  readonly killed: boolean;

  constructor(stderr: string, killed: boolean) {
    super("Pulumi's CLI failed");
    this.stderr = stderr;
    this.killed = killed;
  }
}

export function failedBecause(error: unknown, reason: CliFailure): error is CommandFailure {
  return error instanceof CommandFailure && cliFailure(error.stderr) === reason;
}

/** How a command is stopped and observed. */
export interface CommandControl {
  /** Interrupts it: the engine finishes what is under way and starts nothing more. */
  readonly signal?: AbortSignal | undefined;
  /** Interrupts it again: the engine ends its plugins. What was under way stays in the state as pending. */
  readonly kill?: AbortSignal | undefined;
  /** Kills the engine and its plugins, for an engine that does not react. */
  readonly force?: AbortSignal | undefined;
  /** Called with the process id as soon as the command runs. */
  readonly onStart?: ((pid: number) => void) | undefined;
}

interface CommandOptions extends CommandControl {
  readonly workDir: string;
  /** Added to this process's environment. */
  readonly env?: Readonly<Record<string, string>> | undefined;
}

/** Runs Pulumi's CLI and returns its standard output. Throws CommandFailure. */
export function runPulumi(args: readonly string[], options: CommandOptions): Promise<string> {
  const name = args[0] === "stack" ? `stack ${args[1]}` : `${args[0]}`;
  return timed("command", name, () => run(args, options));
}

async function run(
  args: readonly string[],
  { workDir, env, signal, kill, force, onStart }: CommandOptions,
): Promise<string> {
  const home = await homeWithoutLogs();
  signal?.throwIfAborted();
  const child = spawn("pulumi", [...args, "--non-interactive"], {
    cwd: workDir,
    env: { GOGC, ...processEnvironment(), PULUMI_SKIP_UPDATE_CHECK: "true", ...env, ...home },
    stdio: ["ignore", "pipe", "pipe"],
    // A process group of its own: Ctrl-C would reach the engine in addition to `signal`, and the
    // engine takes a second interrupt for a kill.
    detached: true,
  });
  if (child.pid !== undefined) onStart?.(child.pid);
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  const interrupt = () => child.kill("SIGINT");
  const end = () => killEngine(child);
  signal?.addEventListener("abort", interrupt);
  kill?.addEventListener("abort", interrupt);
  force?.addEventListener("abort", end);
  try {
    const code = await new Promise<number | null>((resolve, reject) => {
      child.once("error", reject).once("close", resolve);
    });
    if (code !== 0) throw new CommandFailure(stderr, code === null);
    return stdout;
  } catch (error) {
    throw (error as NodeJS.ErrnoException).code === "ENOENT" ? notInstalled() : error;
  } finally {
    signal?.removeEventListener("abort", interrupt);
    kill?.removeEventListener("abort", interrupt);
    force?.removeEventListener("abort", end);
  }
}

/** The CLI on PATH, looked up once per process. Throws RDEV_PREREQUISITE if it cannot be used. */
export const installedPulumi = once(findPulumi);

async function findPulumi(): Promise<PulumiCommand> {
  const pulumi = await askVersion().catch((error: unknown) => {
    if (String(error).includes("ENOENT")) throw notInstalled();
    throw unusable('"pulumi version" fails.');
  });
  const version = pulumi.version?.version ?? "unknown";
  if (processEnvironment()["PULUMI_AUTOMATION_API_SKIP_VERSION_CHECK"] || isSupportedCli(version)) {
    return pulumi;
  }
  const [major, minor] = sdkVersion("pulumi").split(".");
  throw unusable(
    `Its version is ${version}. Install ${major}.${minor}.0 or a later ${major}.x: rdev-infra uses ` +
      "the SDK of that version.",
  );
}

/** The SDK takes the environment of the CLI from `process.env`, which it reads synchronously. */
async function askVersion(): Promise<PulumiCommand> {
  const home = await homeWithoutLogs();
  // eslint-disable-next-line no-restricted-properties -- the SDK takes these variables from nowhere else
  const { env } = process;
  const before = Object.keys(home).map((name) => [name, env[name]] as const);
  Object.assign(env, home);
  // The SDK's own check accepts any CLI since 3.2.0, and cannot say which version it found.
  const asked = PulumiCommand.get({ skipVersionCheck: true });
  for (const [name, value] of before) {
    if (value === undefined) delete env[name];
    else env[name] = value;
  }
  return asked;
}

/** The CLI for one operation of the SDK, which calls only its method `run`. */
export function pulumiFor(
  pulumi: PulumiCommand,
  { kill, force, onStart }: Omit<CommandControl, "signal">,
): PulumiCommand {
  const run = async (
    args: string[],
    workDir: string,
    variables: Record<string, string>,
    _onOutput?: unknown,
    _onError?: unknown,
    signal?: AbortSignal,
  ) => {
    const env = { ...variables, PULUMI_AUTOMATION_API: "true" };
    const stdout =
      skippedCommand(args) ??
      (await runPulumi(args, { workDir, env, signal, kill, force, onStart }));
    return { stdout, stderr: "", code: 0 };
  };
  return Object.assign(Object.create(pulumi) as PulumiCommand, { run });
}

function notInstalled(): InfraError {
  return new InfraError(
    "RDEV_PREREQUISITE",
    "The command pulumi is not on PATH. Install Pulumi (https://www.pulumi.com/docs/install), " +
      'or run "npm run sandbox", which brings one and prints how to use it.',
  );
}

function unusable(reason: string): InfraError {
  return new InfraError(
    "RDEV_PREREQUISITE",
    `The command pulumi on PATH cannot be used. ${reason}`,
  );
}
