/**
 * Measures previews a minute, their CPU, and the peak memory of all processes together: `rdev-infra
 * preview --stacks …` at several concurrencies, compared with plain `pulumi preview`, one stack after
 * another. The projects are deployed on the sandbox and unchanged.
 * `npm run bench:preview [-- --stacks 50] [--many 1000] [--plain 10] [--concurrencies 2,3,4,6]
 * [--no-bounds]`. `--many` also makes that many previews of the stacks in one process. Default: 0.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { parseArgs } from "node:util";
import pLimit from "p-limit";
import { residentMemoryOf, treeOf } from "../automation/processes/processes.ts";
import { up } from "../automation/engine/stack.ts";
import { PLATFORM, sandboxPlatform } from "../sandbox/platform.ts";
import { startSandbox } from "../sandbox/sandbox.ts";
import { Bounds } from "./bounds.ts";
import { cpuOfEnded } from "./cpu.ts";
import { machine } from "./machine.ts";
import { mebibytes } from "./memory.ts";

const COMMAND = join(import.meta.dirname, "../cli/rdev-infra.js");
const LIST = join(import.meta.dirname, "preview-list.ts");

const { values } = parseArgs({
  options: {
    stacks: { type: "string", default: "50" },
    many: { type: "string", default: "0" },
    plain: { type: "string", default: "10" },
    concurrencies: { type: "string", default: "2,3,4,6" },
    bounds: { type: "boolean", default: true },
  },
  allowNegative: true,
});
const bounds = new Bounds(values.bounds, {
  "previews a minute, times plain": { atLeast: 6 },
  "CPU of a preview, part of plain": { atMost: 0.25 },
});

const sandbox = await startSandbox(await sandboxPlatform());
const { workFolder: workDir } = sandbox;
try {
  Object.assign(process.env, sandbox.env);
  console.log(machine());
  console.log(`engine: ${sandbox.engine.description}`);
  await deploy(PLATFORM);
  const stacks = await deployProjects(Number(values.stacks));
  const plain = await rate(Number(values.plain), async () => {
    for (const stack of stacks.slice(0, Number(values.plain))) {
      await run("pulumi", ["preview", "--stack", stack, "--non-interactive"]);
    }
  });
  print("plain pulumi preview, one after another", plain);
  const many = [];
  for (const concurrency of values.concurrencies.split(",")) {
    const args = [COMMAND, "preview", "--stacks", stacks.join(","), "--json"];
    const ours = await rate(stacks.length, () =>
      run(process.execPath, [...args, "--concurrency", concurrency]),
    );
    print(`rdev-infra preview of ${stacks.length}, ${concurrency} at once`, ours);
    console.log(`  ${(ours.perMinute / plain.perMinute).toFixed(1)} times as many`);
    many.push(ours);
  }
  const repeated = Array.from(
    { length: Number(values.many) },
    (_, n) => stacks[n % stacks.length]!,
  );
  if (repeated.length > 0) {
    const args = [LIST, "3", workDir, ...repeated];
    const ours = await rate(repeated.length, () => run(process.execPath, args));
    print(`${repeated.length} previews of ${stacks.length} stacks, 3 at once`, ours);
  }
  const best = Math.max(...many.map(({ perMinute }) => perMinute));
  const least = Math.min(...many.map(({ cpu }) => cpu));
  bounds.check("previews a minute, times plain", best / plain.perMinute);
  bounds.check("CPU of a preview, part of plain", least / plain.cpu);
} finally {
  await sandbox.stop();
}

/** Deploys the projects, two at a time. */
async function deployProjects(count: number): Promise<string[]> {
  const stacks = Array.from({ length: count }, (_, index) => `${PLATFORM}.bench-${index}`);
  await pLimit(2).map(stacks, deploy);
  return stacks;
}

async function deploy(stack: string): Promise<void> {
  const { result, errors } = await up(stack, { workDir });
  if (result !== "succeeded") throw new Error(JSON.stringify(errors));
}

async function run(command: string, args: readonly string[]): Promise<void> {
  const child = spawn(command, args, { cwd: workDir, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream
      .setEncoding("utf8")
      .on("data", (text: string) => (output = (output + text).slice(-2_000)));
  }
  const [code] = (await once(child, "close")) as [number | null];
  if (code !== 0) throw new Error(`${command} ended with code ${code}: ${output}`);
}

interface Rate {
  readonly perMinute: number;
  /** In s, for each. */
  readonly cpu: number;
  readonly peakBytes: number;
}

async function rate(count: number, work: () => Promise<void>): Promise<Rate> {
  const memory = () => residentMemoryOf(treeOf(process.pid));
  const before = memory();
  let peak = 0;
  const timer = setInterval(() => (peak = Math.max(peak, memory())), 1_000);
  const cpuBefore = cpuOfEnded();
  const begin = performance.now();
  try {
    await work();
  } finally {
    clearInterval(timer);
  }
  const minutes = (performance.now() - begin) / 60_000;
  const cpu = (cpuOfEnded() - cpuBefore) / count;
  return { perMinute: count / minutes, cpu, peakBytes: peak - before };
}

function print(subject: string, { perMinute, cpu, peakBytes }: Rate): void {
  console.log(
    `${subject}: ${perMinute.toFixed(1)} a minute; ${cpu.toFixed(2)} s of CPU each; ` +
      `peak memory ${mebibytes(peakBytes)}`,
  );
}
