import { spawn, type ChildProcess } from "node:child_process";
import { join } from "node:path";

const TREE = join(import.meta.dirname, "../..");

export interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  /** Added to this process's own; undefined unsets one. */
  readonly variables?: Readonly<Record<string, string | undefined>>;
  readonly nodeOptions?: readonly string[];
  /** The checkout of the command. Default: this one. */
  readonly folder?: string;
  /** Called with stdout so far. */
  readonly onOutput?: (stdout: string, child: ChildProcess) => void;
}

/** Runs `rdev-infra` as a process without a terminal. */
export function runCli(args: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const { variables = {}, nodeOptions = [], folder = TREE, onOutput } = options;
  const command = join(folder, "cli/rdev-infra.js");
  const child = spawn(process.execPath, [...nodeOptions, command, ...args], {
    env: { ...process.env, ...variables },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
    onOutput?.(stdout, child);
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  return new Promise((resolve, reject) => {
    child.once("error", reject).once("close", (code) => resolve({ code, stdout, stderr }));
  });
}
