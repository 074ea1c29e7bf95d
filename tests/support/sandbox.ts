import { sandboxPlatform } from "../../sandbox/platform.ts";
import { type Sandbox, startSandbox } from "../../sandbox/sandbox.ts";

let sandbox: Sandbox | undefined;
const lastWorks: (() => Promise<void>)[] = [];

/** The sandbox of this run; what it is reached by is in process.env as well. */
export function runningSandbox(): Sandbox {
  if (!sandbox) throw new Error("no sandbox runs: start the tests by npm test");
  return sandbox;
}

/** Something to do after the last test, while the sandbox still runs. If it fails, so does the run. */
export function afterLastTest(work: () => Promise<void>): void {
  lastWorks.push(work);
}

/** Mocha's own hook: one sandbox for the whole run. */
export async function mochaGlobalSetup(): Promise<void> {
  sandbox = await startSandbox({
    ...(await sandboxPlatform()),
    onProgress: ({ part, text, elapsedMs }) =>
      console.error(`${(elapsedMs / 1000).toFixed(1).padStart(6)} s  ${part}: ${text}`),
  });
  Object.assign(process.env, sandbox.env);
}

export const mochaHooks: Mocha.RootHookObject = {
  async afterAll(this: Mocha.Context) {
    this.timeout(600_000);
    for (const work of lastWorks.splice(0)) await work();
  },
};

export async function mochaGlobalTeardown(): Promise<void> {
  await sandbox?.stop();
}
