/**
 * Measures the API on the sandbox: the time of each operation compared with plain `pulumi`, reads
 * while operations run, the memory of one operation, and projects an hour.
 * `npm run bench:api [-- --rounds 3] [--kinds create,destroy] [--seconds 20] [--batch 4]
 * [--concurrencies 1,2,3,4] [--no-bounds]`. `--kinds` leaves the other kinds out of the comparison with
 * `pulumi`. Default: all four.
 */
import { parseArgs } from "node:util";
import { execa } from "execa";
import { destroy, up } from "../automation/engine/stack.ts";
import { PLATFORM, sandboxPlatform } from "../sandbox/platform.ts";
import { type Sandbox, startSandbox } from "../sandbox/sandbox.ts";
import { type SandboxService, startService } from "../sandbox/service.ts";
import { Bounds } from "./bounds.ts";
import { steadyLoad } from "./load.ts";
import { machine, milliseconds } from "./machine.ts";
import { residentMemoryOf } from "../automation/processes/processes.ts";
import { mebibytes, memoryOfWorkers, type Weight, weighWorkers } from "./memory.ts";

const READS_A_SECOND = 500;
const WARM_UP_S = 2;

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "3" },
    kinds: { type: "string", default: "create,unchanged up,preview,destroy" },
    seconds: { type: "string", default: "20" },
    batch: { type: "string", default: "4" },
    concurrencies: { type: "string", default: "1,2,3,4" },
    bounds: { type: "boolean", default: true },
  },
  allowNegative: true,
});

/** Ratios of one run, so that they hold on other machines, and memory. */
const bounds = new Bounds(values.bounds, {
  create: { atMost: 0.75 },
  "unchanged up": { atMost: 0.6 },
  preview: { atMost: 0.55 },
  destroy: { atMost: 1.1 },
  "MiB of an operation": { atMost: 600 },
});
type Kind = "create" | "unchanged up" | "preview" | "destroy";

const sandbox = await startSandbox({ ...(await sandboxPlatform()) });
Object.assign(process.env, sandbox.env);
try {
  console.log(machine());
  console.log(`engine: ${sandbox.engine.description}`);
  done(await up(PLATFORM, { workDir: sandbox.workFolder }));
  await withService(2, async (service) => {
    await compare(service, sandbox, Number(values.rounds));
    await readsAndMemory(service, Number(values.seconds));
  });
  await projectsAnHour(Number(values.batch));
  done(await destroy(PLATFORM, { workDir: sandbox.workFolder, remove: true }));
} finally {
  await sandbox.stop();
}

/** Times each kind of operation by the API and by plain `pulumi`, alternately. */
async function compare(
  service: SandboxService,
  { workFolder: cwd }: Sandbox,
  rounds: number,
): Promise<void> {
  const path = "/v1/projects/by-api";
  const stack = `${PLATFORM}.by-pulumi`;
  const pulumi = (...args: string[]) => execa("pulumi", [...args, "--non-interactive"], { cwd });
  const stackFlag = ["--stack", stack];
  const update = () => pulumi("up", "--yes", "--skip-preview", ...stackFlag);
  const all: readonly (readonly [Kind, () => Promise<unknown>, () => Promise<unknown>])[] = [
    [
      "create",
      () => service.operate("PUT", path, { body: {} }),
      () => pulumi("stack", "init", "--no-select", stack).then(update),
    ],
    ["unchanged up", () => service.operate("PUT", path, { body: {} }), update],
    [
      "preview",
      () => service.operate("POST", `${path}/preview`, { body: {} }),
      () => pulumi("preview", ...stackFlag),
    ],
    [
      "destroy",
      () => service.operate("DELETE", path),
      () =>
        pulumi("destroy", "--yes", "--skip-preview", ...stackFlag).then(() =>
          pulumi("stack", "rm", "--yes", stack),
        ),
    ],
  ];
  const kinds = all.filter(([kind]) => values.kinds.split(",").includes(kind));
  const times = new Map(
    kinds.map(([kind]) => [kind, { api: [] as number[], pulumi: [] as number[] }]),
  );
  for (let round = 0; round < rounds; round++) {
    for (const [kind, byApi, byPulumi] of kinds) {
      times.get(kind)?.api.push(await timed(byApi));
      times.get(kind)?.pulumi.push(await timed(byPulumi));
    }
  }
  for (const [kind, { api, pulumi: plain }] of times) {
    const ratio = median(api) / median(plain);
    console.log(
      `${kind.padEnd(13)} API ${seconds(api)}, pulumi ${seconds(plain)}, ` +
        `ratio ${ratio.toFixed(2)}`,
    );
    bounds.check(kind, ratio);
  }
}

/** Weighs the operations of one project, and reads it in between. */
async function readsAndMemory(service: SandboxService, duration: number): Promise<void> {
  const path = "/v1/projects/read";
  await weighed("create", () => service.operate("PUT", path, { body: {} }));
  await weighed("unchanged up", () => service.operate("PUT", path, { body: {} }));
  await reads(service, path, duration);
  await weighed("destroy", () => service.operate("DELETE", path));
  console.log(`memory of the service itself: ${mebibytes(residentMemoryOf([service.pid]))} RSS`);
}

/** Reads one project at a fixed rate: alone, and while operations of two other projects run. */
async function reads(service: SandboxService, path: string, duration: number): Promise<void> {
  const load = async (seconds: number) => {
    const { times, failed, rate } = await steadyLoad({
      url: `${service.url}${path}`,
      headers: { authorization: `Bearer ${service.key}` },
      perSecond: READS_A_SECOND,
      seconds,
    });
    const [p50, p99, max] = [0.5, 0.99, 1].map((quantile) => milliseconds(times, quantile));
    return `p50 ${p50}, p99 ${p99}, max ${max}; ${rate.toFixed(0)} a second, ${failed} failed`;
  };
  // A service that has just started needs several times longer for the first requests.
  await load(WARM_UP_S);
  console.log(`GET, no operation:       ${await load(duration)}`);
  const others = ["busy-one", "busy-two"];
  let isOver = false;
  let operations = 0;
  const busy = Promise.all(
    others.map(async (slug) => {
      while (!isOver) {
        await service.operate("PUT", `/v1/projects/${slug}`, { body: {} });
        operations += 1;
      }
    }),
  );
  const figures = await load(duration);
  isOver = true;
  await busy;
  console.log(`GET, two operations run: ${figures}; ${operations} operations done`);
  await Promise.all(others.map((slug) => service.operate("DELETE", `/v1/projects/${slug}`)));
}

/** Measures the peak memory of one operation: worker, engine and plugins together. */
async function weighed(kind: string, work: () => Promise<unknown>): Promise<void> {
  let most: Weight = { rss: 0, pss: 0, parts: "" };
  const timer = setInterval(() => {
    for (const weight of weighWorkers()) if (weight.pss > most.pss) most = weight;
  }, 200);
  await work();
  clearInterval(timer);
  console.log(
    `memory of a ${kind}: ${mebibytes(most.pss)} (RSS ${mebibytes(most.rss)}): ${most.parts}`,
  );
  bounds.check("MiB of an operation", most.pss / 2 ** 20);
}

/** Creates a batch of projects, once for each limit of concurrent operations. */
async function projectsAnHour(batch: number): Promise<void> {
  for (const concurrency of values.concurrencies.split(",").map(Number)) {
    await withService(concurrency, async (service) => {
      const paths = Array.from({ length: batch }, (_, n) => `/v1/projects/batch-${n + 1}`);
      let memory = 0;
      const timer = setInterval(() => {
        memory = Math.max(memory, memoryOfWorkers());
      }, 1_000);
      const ms = await timed(() =>
        Promise.all(paths.map((path) => service.operate("PUT", path, { body: {} }))),
      );
      clearInterval(timer);
      console.log(
        `${batch} projects, ${concurrency} at once: ${(ms / 1000).toFixed(1)} s, ` +
          `${Math.round((batch * 3_600_000) / ms)} an hour, workers at most ${mebibytes(memory)}`,
      );
      await Promise.all(paths.map((path) => service.operate("DELETE", path)));
    });
  }
}

async function withService(
  concurrency: number,
  work: (service: SandboxService) => Promise<void>,
): Promise<void> {
  const service = await startService(sandbox, { concurrency, rateLimit: READS_A_SECOND * 120 });
  try {
    await work(service);
  } finally {
    await service.stop();
  }
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const begin = performance.now();
  await work();
  return performance.now() - begin;
}

function seconds(all: readonly number[]): string {
  const each = all.map((ms) => (ms / 1000).toFixed(1)).join(", ");
  return `${(median(all) / 1000).toFixed(2)} s (${each})`;
}

function median(all: readonly number[]): number {
  const sorted = all.toSorted((one, other) => one - other);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1
    ? (sorted[middle] ?? NaN)
    : ((sorted[middle - 1] ?? NaN) + (sorted[middle] ?? NaN)) / 2;
}

function done({ result, errors }: Awaited<ReturnType<typeof up>>): void {
  if (result !== "succeeded") throw new Error(errors.map(({ message }) => message).join("\n"));
}
