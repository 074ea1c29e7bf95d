/**
 * Measures the audit trail: events a second written to PostgreSQL, and events a second shipped by
 * `rdev-infra audit ship` to the stand-in for Citadel, with its memory.
 * `node bench/audit.ts [--events 10000]`. tests/automation/audit/shipper-killed kills the shipper.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { MultiWriter } from "../automation/audit/log.ts";
import { backlog } from "../automation/audit/outbox.ts";
import { verifyChain } from "../automation/audit/verify.ts";
import { type Context, createSecrets } from "../sandbox/context.ts";
import { reservePorts } from "../sandbox/ports.ts";
import { startPostgres } from "../sandbox/servers/postgres.ts";
import { peakMemoryOf } from "../automation/processes/processes.ts";
import { mebibytes } from "./memory.ts";
import { startReaper } from "../automation/processes/reaper.ts";
import { startIngestRecorder } from "../tests/support/ingest-recorder.ts";
import { createTestStore, type TestStore } from "../tests/support/test-store.ts";
import { machine } from "./machine.ts";

const WRITERS = 4; // concurrent
const COMMAND = join(import.meta.dirname, "../cli/rdev-infra.js");

const { values } = parseArgs({
  options: {
    events: { type: "string", default: "10000" },
  },
});

const reaper = startReaper();
const folder = await mkdtemp(join(tmpdir(), "bench-audit-"));
reaper.ownFolder(folder);
await chmod(folder, 0o711); // PostgreSQL runs as another user than root
const ports = await reservePorts();
try {
  const secrets = createSecrets();
  const context: Context = {
    ...{ folder, reaper, ports, secrets, report: () => undefined },
    forPods: (url) => Promise.resolve(url),
  };
  const postgres = await startPostgres(context);
  process.env["POSTGRES_ADMIN_URL"] = postgres.url;
  console.log(machine());
  await throughput(Number(values.events));
} finally {
  await reaper.close();
  ports.release();
}

async function throughput(count: number): Promise<void> {
  const test = await createTestStore();
  const citadel = await startIngestRecorder({ pause: 0 });
  await write(test, count);
  const child = spawn(process.execPath, [COMMAND, "audit", "ship", "staging"], {
    env: { ...process.env, ...citadel.variables, DATABASE_URL: test.url },
    stdio: ["ignore", "ignore", "inherit"],
  });
  await citadel.taken();
  const [began, before] = [performance.now(), citadel.events.size];
  while ((await backlog(test.store)).waiting > 0) await sleep(20);
  const seconds = (performance.now() - began) / 1000;
  const shipped = citadel.events.size - before;
  const memory = peakMemoryOf(child.pid ?? 0);
  child.kill();
  await once(child, "exit");
  console.log(
    `shipper: ${shipped} events in ${seconds.toFixed(1)} s, ${Math.round(shipped / seconds)} ` +
      `events/s, in batches of 100; its memory at most ${mebibytes(memory)}`,
  );
  await citadel.close();
  await test.drop();
}

async function write(test: TestStore, count: number): Promise<void> {
  const log = new MultiWriter(test.store);
  let written = 0;
  const writer = async () => {
    while (written < count) {
      written += 1;
      await log.record({
        action: "project.update",
        projectId: `project-${written % 50}`,
        actor: "ada@example.test",
        component: "infra",
        result: "success",
        durationMs: 1_234,
        details: { changes: { create: 3, update: 1 }, stack: "staging.my-app" },
      });
    }
  };
  const began = performance.now();
  await Promise.all(Array.from({ length: WRITERS }, writer));
  const seconds = (performance.now() - began) / 1000;
  console.log(
    `audit log: ${written} events by ${WRITERS} writers in ${seconds.toFixed(1)} s, ` +
      `${Math.round(written / seconds)} events/s (PostgreSQL without fsync)`,
  );
  const start = performance.now();
  const { rows, broken } = await verifyChain(test.store);
  if (broken || rows !== written) throw new Error(`the chain is broken: ${broken?.reason}`);
  console.log(`audit verify: ${Math.round((rows / (performance.now() - start)) * 1000)} events/s`);
}
