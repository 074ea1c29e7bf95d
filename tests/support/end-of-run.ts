import { fileURLToPath } from "node:url";
import { execa } from "execa";
import type { Sandbox } from "../../sandbox/sandbox.ts";

/** A sandbox for tests. The process that started it stops it. */
export type RunningSandbox = Omit<Sandbox, "stop">;

const CHECK = fileURLToPath(new URL("check-nothing-left.ts", import.meta.url));

export class EndOfRun {
  static failures = 0;
}

/** Destroys what tests left, then the platform. Fails if a server still has an object of them. */
export async function endRun(sandbox: RunningSandbox): Promise<void> {
  const { exitCode, all } = await execa(process.execPath, [CHECK], {
    env: sandbox.env,
    input: JSON.stringify(sandbox),
    all: true,
    reject: false,
  });
  if (exitCode === 0) return;
  EndOfRun.failures += 1;
  throw new Error(`after the last test:\n${all}`);
}
