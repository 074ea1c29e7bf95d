import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";

const ROOT = join(import.meta.dirname, "../..");
const MAIN = join(ROOT, "sandbox/main.ts");

/** As a program starts the sandbox. */
export const NODE = [process.execPath, MAIN] as const;
/** As a person starts it: npm runs a shell, and that runs node. */
export const NPM = ["npm", "run", "--silent", "sandbox", "--"] as const;

/** A sandbox as a process of its own. */
export interface StartedSandbox {
  readonly child: ChildProcess;
  readonly folder: string;
  readonly env: Readonly<Record<string, string>>;
}

/** Starts the sandbox. Resolves when it is ready, with what it prints. */
export async function startedSandbox<T extends object = object>(
  [command, ...args]: readonly [string, ...string[]] = NODE,
  onChild: (child: ChildProcess) => void = () => undefined,
): Promise<StartedSandbox & T> {
  const child = spawn(command, [...args, "--json"], {
    stdio: ["ignore", "pipe", "pipe"],
    cwd: ROOT,
  });
  onChild(child);
  let errors = "";
  child.stderr.on("data", (data: Buffer) => (errors += data.toString()));
  let output = "";
  for await (const data of child.stdout) {
    output += String(data);
    if (output.endsWith("\n")) break;
  }
  assert.ok(output, errors);
  return { ...(JSON.parse(output) as Omit<StartedSandbox, "child"> & T), child };
}
