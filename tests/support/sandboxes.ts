import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import config from "../../.mocharc.json" with { type: "json" };
import type { Sandbox } from "../../sandbox/sandbox.ts";
import { endRun, type RunningSandbox } from "./end-of-run.ts";
import { startTestSandbox, useSandbox } from "./sandbox.ts";

/** Passes the sandboxes from Mocha's main process to its workers. */
const SANDBOXES = "RDEV_TEST_SANDBOXES";

interface WorkerPlace {
  readonly sandbox: RunningSandbox;
  /** Each worker has its own, because tests check the temporary folder for leftovers. */
  readonly temporary: string;
}

const started: Sandbox[] = [];
const places: WorkerPlace[] = [];
const folders: string[] = [];

const worker = process.env["MOCHA_WORKER_ID"];
if (worker !== undefined) {
  const all = JSON.parse(process.env[SANDBOXES] ?? "[]") as WorkerPlace[];
  // A test's processes must not inherit the other sandboxes' credentials.
  delete process.env[SANDBOXES];
  const own = all[Number(worker) % all.length];
  if (own) {
    process.env["TMPDIR"] = own.temporary;
    useSandbox(own.sandbox);
  }
}

async function temporaryFolder(name: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), `rdev-${name}-`));
  folders.push(folder);
  return folder;
}

async function startPlace(): Promise<void> {
  const sandbox = await startTestSandbox();
  started.push(sandbox);
  const temporary = await temporaryFolder("tests");
  // PostgreSQL runs as another user when the tests run as root.
  await chmod(temporary, 0o711);
  places.push({ sandbox, temporary });
}

/** Mocha's hook: a sandbox for each worker. The first start builds what the others use. */
export async function mochaGlobalSetup(): Promise<void> {
  // Compiling the same modules in thousands of processes would take most of the run's CPU time.
  process.env["NODE_COMPILE_CACHE"] = await temporaryFolder("compiled");
  await startPlace();
  await Promise.all(Array.from({ length: config.jobs - 1 }, startPlace));
  process.env[SANDBOXES] = JSON.stringify(places);
}

export async function mochaGlobalTeardown(): Promise<void> {
  try {
    await Promise.all(started.map(endRun));
  } finally {
    await Promise.all(started.map((sandbox) => sandbox.stop()));
    for (const folder of folders) await rm(folder, { recursive: true, force: true });
  }
}
