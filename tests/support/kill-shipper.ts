import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { MultiWriter } from "../../automation/audit/log.ts";
import { backlog } from "../../automation/audit/outbox.ts";
import type { IngestRecorder } from "./ingest-recorder.ts";
import type { TestStore } from "./test-store.ts";

const COMMAND = join(import.meta.dirname, "../../cli/rdev-infra.js");

interface KillOptions {
  readonly test: TestStore;
  readonly citadel: IngestRecorder;
  /** The number of kills. */
  readonly kills: number;
}

/**
 * Continuously records events of a few projects while `rdev-infra audit ship` runs. Kills the shipper
 * (SIGKILL) at random points after its first batch, then lets it finish. Returns the number of events.
 */
export async function killShipperUnderLoad(options: KillOptions): Promise<number> {
  const { test, citadel, kills } = options;
  const { variables } = citadel;
  const log = new MultiWriter(test.store);
  let recorded = 0;
  let loading = true;
  const load = (async () => {
    while (loading) {
      const projectId = `project-${recorded % 5}`;
      const actor = "load";
      await log.record({
        action: "load.run",
        projectId,
        actor,
        component: "bench",
        result: "success",
      });
      recorded += 1;
      await sleep(2);
    }
  })();
  try {
    for (let kill = 0; kill < kills; kill += 1) {
      const shipper = start(test.url, variables);
      await Promise.race([citadel.taken(), diedAlone(shipper)]);
      await sleep(Math.random() * 60);
      shipper.kill("SIGKILL");
      if (shipper.exitCode === null && shipper.signalCode === null) await once(shipper, "exit");
    }
  } finally {
    loading = false;
    await load;
  }
  const shipper = start(test.url, variables);
  while ((await backlog(test.store)).waiting > 0 && shipper.exitCode === null) await sleep(50);
  shipper.kill("SIGTERM");
  await once(shipper, "exit");
  return recorded;
}

function start(url: string, variables: Readonly<Record<string, string>>): ChildProcess {
  return spawn(process.execPath, [COMMAND, "audit", "ship", "staging"], {
    env: { ...process.env, ...variables, DATABASE_URL: url },
    stdio: ["ignore", "ignore", "inherit"],
  });
}

async function diedAlone(child: ChildProcess): Promise<never> {
  const [code] = (await once(child, "exit")) as [number | null];
  throw new Error(`the shipper ended by itself, with ${code}`);
}
