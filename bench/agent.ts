/**
 * Measures the throughput and the memory of the log agent: `node bench/agent.ts`, with a real
 * `fluent-bit` on PATH. Throughput is given in lines a CPU second, because other work on the machine
 * does not change that.
 */
import { cpuSecondsOf, memoryOf, peakMemoryOf } from "../automation/processes/processes.ts";
import { mochaGlobalSetup, mochaGlobalTeardown } from "../tests/support/sandbox.ts";
import { eventually } from "../tests/agent/engine.ts";
import { type AgentStage, startStage } from "../tests/agent/stage.ts";
import { mebibytes } from "./memory.ts";

const LINES = 300_000;
const TENANTS = 200;

await mochaGlobalSetup();
try {
  await throughput("JSON, as slog writes it", (number) =>
    JSON.stringify({
      time: "2026-03-01T10:15:30.123456789Z",
      level: "INFO",
      msg: "request served",
      method: "GET",
      path: `/orders/${number}`,
      status: 200,
      duration_ms: 12.5,
    }),
  );
  await throughput(
    "text",
    (number) =>
      `GET /orders/${number} 200 in 12.5 ms, as text of about 100 bytes ${"x".repeat(40)}`,
  );
  await manyTenants();
} finally {
  await mochaGlobalTeardown();
}

async function throughput(format: string, line: (number: number) => string): Promise<void> {
  await withStage(async (stage) => {
    const { tenant, log } = await stage.project();
    await stage.node.write(
      log,
      Array.from({ length: LINES }, (_, number) => line(number)),
    );
    const started = Date.now();
    await stage.engine.start();
    await eventually(() => stage.sink.messages(tenant).length >= LINES, { timeout: 300_000 });
    const seconds = cpuSeconds(stage);
    const largest = Math.max(...stage.sink.requests.map(({ bytes }) => bytes));
    console.log(
      `${format}: ${Math.round(LINES / seconds)} lines a CPU second, ` +
        `${((Date.now() - started) / 1000).toFixed(1)} s in all, ${memory(stage)} at most, ` +
        `largest request ${(largest / 2 ** 20).toFixed(2)} MiB`,
    );
  });
}

async function manyTenants(): Promise<void> {
  await withStage(async (stage) => {
    const projects: Awaited<ReturnType<AgentStage["project"]>>[] = [];
    for (let count = 0; count < TENANTS; count += 1) projects.push(await stage.project());
    await stage.engine.start();
    for (let second = 0; second < 30; second += 1) {
      for (const { log } of projects) {
        await stage.node.write(
          log,
          Array.from({ length: 20 }, (_, n) => `${second} ${n} ${"x".repeat(100)}`),
        );
      }
    }
    await eventually(
      () => projects.every(({ tenant }) => stage.sink.messages(tenant).length >= 600),
      {
        timeout: 300_000,
      },
    );
    const lines = TENANTS * 600;
    console.log(
      `${TENANTS} tenants: ${memory(stage)} at most, ` +
        `${Math.round(lines / cpuSeconds(stage))} lines a CPU second`,
    );
  });
}

async function withStage(work: (stage: AgentStage) => Promise<void>): Promise<void> {
  const stage = await startStage();
  try {
    await work(stage);
  } finally {
    await stage.close();
  }
}

function cpuSeconds({ engine }: AgentStage): number {
  return cpuSecondsOf(engine.pid ?? 0);
}

/** The peak of resident memory, and the anonymous memory now. */
function memory({ engine: { pid = 0 } }: AgentStage): string {
  const [peak, own] = [peakMemoryOf(pid), memoryOf([pid])].map(mebibytes);
  return `${peak} (${own} of them anonymous at the end)`;
}
