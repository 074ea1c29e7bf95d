/**
 * Measures a rollout over the projects of the sandbox beside `up` of one after another, and lists of
 * many records. `npm run bench:fleet [-- --projects 40] [--records 1000] [--at-once 4] [--no-bounds]`.
 * The records beyond the projects are rows without a stack.
 */
import { setTimeout } from "node:timers/promises";
import { parseArgs } from "node:util";
import pLimit from "p-limit";
import type { RolloutView } from "../automation/service/schemas/rollout.ts";
import { destroy, up } from "../automation/engine/stack.ts";
import type { RolloutState } from "../core/rollout.ts";
import { PLATFORM, sandboxPlatform } from "../sandbox/platform.ts";
import { startSandbox } from "../sandbox/sandbox.ts";
import { type SandboxService, startService } from "../sandbox/service.ts";
import { queryOnce } from "../sandbox/store-database.ts";
import { Bounds } from "./bounds.ts";
import { machine } from "./machine.ts";

const { values } = parseArgs({
  options: {
    projects: { type: "string", default: "40" },
    records: { type: "string", default: "1000" },
    "at-once": { type: "string", default: "4" },
    bounds: { type: "boolean", default: true },
  },
  allowNegative: true,
});
const bounds = new Bounds(values.bounds, {
  "a rollout's time, part of one by one": { atMost: 1.5 },
  "ms of the slowest list": { atMost: 100 },
});

const sandbox = await startSandbox({ ...(await sandboxPlatform()) });
Object.assign(process.env, sandbox.env);
try {
  console.log(machine());
  done(await up(PLATFORM, { workDir: sandbox.workFolder }));
  const service = await startService(sandbox, { rateLimit: 1_000_000 });
  try {
    const slugs = Array.from({ length: Number(values.projects) }, (_, n) => `fleet-${n + 1}`);
    const put = (slug: string) => service.operate("PUT", `/v1/projects/${slug}`, { body: {} });
    await pLimit(2).map(slugs, put);
    const single = await timed(async () => {
      for (const slug of slugs) await put(slug);
    });
    const rollout = await timed(() => rollOut(service));
    const words = `${slugs.length} projects`;
    console.log(`${words}: rollout ${seconds(rollout)}, one by one ${seconds(single)}`);
    bounds.check("a rollout's time, part of one by one", rollout / single);
    await queryOnce(
      sandbox.env["DATABASE_OWNER_URL"] ?? "",
      `INSERT INTO projects (slug, platform, name)
       SELECT 'record-' || n, '${PLATFORM}', 'Record' FROM generate_series(1, ${Number(values.records)}) n`,
    );
    const slowest = await lists(service);
    console.log(`${values.records} records: the slowest list took ${slowest.toFixed(0)} ms`);
    bounds.check("ms of the slowest list", slowest);
    await pLimit(2).map(slugs, (slug) => service.operate("DELETE", `/v1/projects/${slug}`));
  } finally {
    await service.stop();
  }
  done(await destroy(PLATFORM, { workDir: sandbox.workFolder, remove: true }));
} finally {
  await sandbox.stop();
}

/** Plans, approves and carries out a rollout of all projects. */
async function rollOut(service: SandboxService): Promise<void> {
  const { id } = await service.call<RolloutView>("POST", "/v1/rollouts", {
    select: { only: "all" },
    atOnce: Number(values["at-once"]),
    pauseSeconds: 0,
  });
  /** Waits as long as the rollout is in one of the states before. */
  const reached = async (state: RolloutState, ...before: RolloutState[]) => {
    for (;;) {
      const found = await service.call<RolloutView>("GET", `/v1/rollouts/${id}`);
      if (found.state === state) return found;
      if (!before.includes(found.state)) {
        throw new Error(`the rollout is ${found.state}: ${found.reason ?? "no reason"}`);
      }
      await setTimeout(100);
    }
  };
  const { plan } = await reached("planned", "planning");
  await service.call("POST", `/v1/rollouts/${id}/approve`, { plan });
  await reached("succeeded", "planned", "running");
}

/** In ms: the slowest request of each page of the lists. */
async function lists(service: SandboxService): Promise<number> {
  let slowest = 0;
  for (const filter of ["", "&outdated=true", "&search=record"]) {
    let cursor = "";
    for (let next: string | undefined = ""; next !== undefined; cursor = `&cursor=${next}`) {
      const begin = performance.now();
      const page = await service.call<{ next?: string }>(
        "GET",
        `/v1/projects?limit=200${filter}${cursor}`,
      );
      slowest = Math.max(slowest, performance.now() - begin);
      ({ next } = page);
    }
  }
  return slowest;
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const begin = performance.now();
  await work();
  return performance.now() - begin;
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

function done({ result, errors }: Awaited<ReturnType<typeof up>>): void {
  if (result !== "succeeded") throw new Error(errors.map(({ message }) => message).join("\n"));
}
