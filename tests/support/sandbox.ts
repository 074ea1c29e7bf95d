import { sandboxPlatform } from "../../sandbox/platform.ts";
import { type Sandbox, startSandbox } from "../../sandbox/sandbox.ts";
import { endRun, type RunningSandbox } from "./end-of-run.ts";

let started: Sandbox | undefined;
let used: RunningSandbox | undefined;

/** The sandbox of this process. `process.env` has its variables as well. */
export function runningSandbox(): RunningSandbox {
  if (!used) throw new Error("no sandbox runs: start the tests with npm test, or see CONTRIBUTING");
  return used;
}

export function useSandbox(sandbox: RunningSandbox): void {
  used = sandbox;
  Object.assign(process.env, sandbox.env);
}

export async function startTestSandbox(): Promise<Sandbox> {
  return startSandbox({
    ...(await sandboxPlatform()),
    onProgress: ({ part, text, elapsedMs }) =>
      console.error(`${(elapsedMs / 1000).toFixed(1).padStart(6)} s  ${part}: ${text}`),
  });
}

/** Mocha's hook: one sandbox for a run without workers. */
export async function mochaGlobalSetup(): Promise<void> {
  started = await startTestSandbox();
  useSandbox(started);
}

export async function mochaGlobalTeardown(): Promise<void> {
  if (!started) return;
  try {
    await endRun(started);
  } finally {
    await started.stop();
  }
}
