/**
 * Measures a rollout over the projects of the sandbox beside `up` of one after another.
 * `npm run bench:fleet` or `node bench/fleet.ts [--projects 40] [--at-once 4] [--no-bounds]`.
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
import { Bounds } from "./bounds.ts";
import { machine } from "./machine.ts";

const { values } = parseArgs({
  options: {
    projects: { type: "string", default: "40" },
    "at-once": { type: "string", default: "4" },
    bounds: { type: "boolean", default: true },
  },
  allowNegative: true,
});
const bounds = new Bounds(values.bounds, {
  "a rollout's time, part of one by one": { atMost: 1.5 },
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
    const create = await timed(() => pLimit(2).map(slugs, put));
    console.log(`created, 2 at once: ${seconds(create)}`);
    const single = await timed(async () => {
      for (const slug of slugs) await put(slug);
    });
    console.log(`one by one: ${seconds(single)}`);
    const rollout = await timed(() => rollOut(service));
    const words = `${slugs.length} projects`;
    console.log(`${words}: rollout ${seconds(rollout)}, one by one ${seconds(single)}`);
    bounds.check("a rollout's time, part of one by one", rollout / single);
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
