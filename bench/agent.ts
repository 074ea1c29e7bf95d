/**
 * Measures the throughput and the memory of the log agent: `node bench/agent.ts`, with a real
 * `fluent-bit` on PATH. Throughput is given in lines a CPU second, because other work on the machine
 * does not change that.
 */
import { readFile } from "node:fs/promises";
import { mochaGlobalSetup, mochaGlobalTeardown } from "../tests/support/sandbox.ts";
import { eventually } from "../tests/agent/engine.ts";
import { type AgentStage, startStage } from "../tests/agent/stage.ts";

const LINES = 300_000;
const TENANTS = 200;
const TICKS_A_SECOND = 100; // the unit of CPU time in /proc

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
    const peak = memoryReader(stage);
    await eventually(() => stage.sink.messages(tenant).length >= LINES, { timeout: 300_000 });
    const seconds = await cpuSeconds(stage);
    const largest = Math.max(...stage.sink.requests.map(({ bytes }) => bytes));
    console.log(
      `${format}: ${Math.round(LINES / seconds)} lines a CPU second, ` +
        `${((Date.now() - started) / 1000).toFixed(1)} s in all, ${await peak()} MiB at most, ` +
        `largest request ${(largest / 2 ** 20).toFixed(2)} MiB`,
    );
  });
}

async function manyTenants(): Promise<void> {
  await withStage(async (stage) => {
    const projects: Awaited<ReturnType<AgentStage["project"]>>[] = [];
    for (let count = 0; count < TENANTS; count += 1) projects.push(await stage.project());
    await stage.engine.start();
    const peak = memoryReader(stage);
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
      `${TENANTS} tenants: ${await peak()} MiB at most, ` +
        `${Math.round(lines / (await cpuSeconds(stage)))} lines a CPU second`,
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

async function cpuSeconds({ engine }: AgentStage): Promise<number> {
  const fields =
    (await readFile(`/proc/${engine.pid}/stat`, "utf8")).split(") ")[1]?.split(" ") ?? [];
  return (Number(fields[11]) + Number(fields[12])) / TICKS_A_SECOND; // user and system time
}

/** Returns a function that describes the peak of resident memory, in MiB, with its anonymous part. */
function memoryReader({ engine }: AgentStage): () => Promise<string> {
  return async () => {
    const status = await readFile(`/proc/${engine.pid}/status`, "utf8");
    const peak = /VmHWM:\s+(\d+)/.exec(status)?.[1];
    const own = /RssAnon:\s+(\d+)/.exec(status)?.[1];
    return `${Math.round(Number(peak) / 1024)} (${Math.round(Number(own) / 1024)} of them anonymous at the end)`;
  };
}
