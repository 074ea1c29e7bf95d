/**
 * Measures previews a minute, and the peak memory of all processes together: `rdev-infra preview
 * --stacks …` at several concurrencies, compared with plain `pulumi preview`, one stack after another.
 * The projects are deployed on the sandbox and unchanged. `npm run bench:preview [-- --stacks 50] [--plain 10] [--concurrencies 2,3,4,6]`.
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
import { mebibytes } from "./memory.ts";

const COMMAND = join(import.meta.dirname, "../cli/rdev-infra.js");

const { values } = parseArgs({
  options: {
    stacks: { type: "string", default: "50" },
    plain: { type: "string", default: "10" },
    concurrencies: { type: "string", default: "2,3,4,6" },
  },
});

const sandbox = await startSandbox(await sandboxPlatform());
const { workFolder: workDir } = sandbox;
try {
  Object.assign(process.env, sandbox.env);
  await deploy(PLATFORM);
  const stacks = await deployProjects(Number(values.stacks));
  const plain = await rate(Number(values.plain), async () => {
    for (const stack of stacks.slice(0, Number(values.plain))) {
      await run("pulumi", ["preview", "--stack", stack, "--non-interactive"]);
    }
  });
  print("plain pulumi preview, one after another", plain);
  for (const concurrency of values.concurrencies.split(",")) {
    const args = [COMMAND, "preview", "--stacks", stacks.join(","), "--json"];
    const ours = await rate(stacks.length, () =>
      run(process.execPath, [...args, "--concurrency", concurrency]),
    );
    print(`rdev-infra preview of ${stacks.length}, ${concurrency} at once`, ours);
    console.log(`  ${(ours.perMinute / plain.perMinute).toFixed(1)} times as many`);
  }
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
  readonly peakBytes: number;
}

async function rate(count: number, work: () => Promise<void>): Promise<Rate> {
  const memory = () => residentMemoryOf(treeOf(process.pid));
  const before = memory();
  let peak = 0;
  const timer = setInterval(() => (peak = Math.max(peak, memory())), 250);
  const begin = performance.now();
  try {
    await work();
  } finally {
    clearInterval(timer);
  }
  const minutes = (performance.now() - begin) / 60_000;
  return { perMinute: count / minutes, peakBytes: peak - before };
}

function print(subject: string, { perMinute, peakBytes }: Rate): void {
  console.log(`${subject}: ${perMinute.toFixed(1)} a minute; peak memory ${mebibytes(peakBytes)}`);
}
