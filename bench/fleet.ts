/**
 * Measures a rollout over the projects of the sandbox beside `up` of one after another.
 * `npm run bench:fleet` or `node bench/fleet.ts [--projects 40] [--at-once 4] [--no-bounds]`.
 */
import { setTimeout } from "node:timers/promises";
import { parseArgs } from "node:util";
import pLimit from "p-limit";
import type { RolloutView } from "../automation/service/schemas/rollout.ts";
import { destroy, up } from "../automation/engine/stack.ts";
import { cpuSecondsOf } from "../automation/processes/processes.ts";
import type { RolloutState } from "../core/rollout.ts";
import { PLATFORM, sandboxPlatform } from "../sandbox/platform.ts";
import { startSandbox } from "../sandbox/sandbox.ts";
import { type SandboxService, startService } from "../sandbox/service.ts";
import { Bounds } from "./bounds.ts";
import { cpuOfEnded } from "./cpu.ts";
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
  "time of a rollout's waves, part of one by one": { atMost: 1.5 },
  "a rollout's CPU, part of one by one": { atMost: 3 },
});

const PENDING: ReadonlySet<RolloutState> = new Set(["planning", "planned", "running"]);

const sandbox = await startSandbox({ ...(await sandboxPlatform()) });
Object.assign(process.env, sandbox.env);
try {
  console.log(machine());
  done(await up(PLATFORM, { workDir: sandbox.workFolder }));
  const service = await startService(sandbox, { rateLimit: 1_000_000 });
  try {
    const slugs = Array.from({ length: Number(values.projects) }, (_, n) => `fleet-${n + 1}`);
    const put = (slug: string) => service.operate("PUT", `/v1/projects/${slug}`, { body: {} });
    const measured = (what: string, work: () => Promise<unknown>) =>
      measure(service, `${what} of ${slugs.length} projects`, work);
    await measured("create, 2 at once,", () => pLimit(2).map(slugs, put));
    const single = await measured("up, one by one,", async () => {
      for (const slug of slugs) await put(slug);
    });
    const { id } = await service.call<RolloutView>("POST", "/v1/rollouts", {
      select: { only: "all" },
      atOnce: Number(values["at-once"]),
      pauseSeconds: 0,
    });
    const plan = await measured("a rollout's plan", () => reached(service, id, "planned"));
    const { plan: shown } = await service.call<RolloutView>("GET", `/v1/rollouts/${id}`);
    await service.call("POST", `/v1/rollouts/${id}/approve`, { plan: shown });
    const waves = await measured("a rollout's waves", () => reached(service, id, "succeeded"));
    bounds.check("time of a rollout's waves, part of one by one", waves.ms / single.ms);
    bounds.check("a rollout's CPU, part of one by one", (plan.cpu + waves.cpu) / single.cpu);
    await pLimit(2).map(slugs, (slug) => service.operate("DELETE", `/v1/projects/${slug}`));
  } finally {
    await service.stop();
  }
  done(await destroy(PLATFORM, { workDir: sandbox.workFolder, remove: true }));
} finally {
  await sandbox.stop();
}

/** Waits until the rollout is in this state. */
async function reached(service: SandboxService, id: string, state: RolloutState): Promise<void> {
  for (;;) {
    const found = await service.call<RolloutView>("GET", `/v1/rollouts/${id}`);
    if (found.state === state) return;
    if (!PENDING.has(found.state)) {
      throw new Error(`the rollout is ${found.state}: ${found.reason ?? "no reason"}`);
    }
    await setTimeout(100);
  }
}

/** Prints and returns how long it took, in ms, and the CPU time of the service and its workers, in s. */
async function measure({ pid }: SandboxService, what: string, work: () => Promise<unknown>) {
  const cpuNow = () => cpuSecondsOf(pid) + cpuOfEnded(pid);
  const cpuBefore = cpuNow();
  const begin = performance.now();
  await work();
  const ms = performance.now() - begin;
  const cpu = cpuNow() - cpuBefore;
  console.log(`${what}: ${(ms / 1000).toFixed(1)} s, ${cpu.toFixed(1)} s of CPU`);
  return { ms, cpu };
}

function done({ result, errors }: Awaited<ReturnType<typeof up>>): void {
  if (result !== "succeeded") throw new Error(errors.map(({ message }) => message).join("\n"));
}
