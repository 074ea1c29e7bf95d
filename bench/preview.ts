/**
 * Measures previews a minute, and the peak memory of all processes together: `rdev-infra preview
 * --stacks …` at several concurrencies, compared with plain `pulumi preview`, one stack after another.
 * The projects are deployed on the sandbox and unchanged. `npm run bench:preview [-- --stacks 50] [--plain 10] [--concurrencies 2,3,4,6]`.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import pLimit from "p-limit";
import { up } from "../automation/engine/stack.ts";
import { PLATFORM, sandboxPlatform } from "../sandbox/platform.ts";
import { startSandbox } from "../sandbox/sandbox.ts";

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
  readonly peakMib: number;
}

async function rate(count: number, work: () => Promise<void>): Promise<Rate> {
  const before = await memoryOfTree(process.pid);
  let peak = 0;
  const timer = setInterval(() => {
    void memoryOfTree(process.pid).then((now) => (peak = Math.max(peak, now)));
  }, 250);
  const begin = performance.now();
  try {
    await work();
  } finally {
    clearInterval(timer);
  }
  const minutes = (performance.now() - begin) / 60_000;
  return { perMinute: count / minutes, peakMib: (peak - before) / 1024 };
}

/** The memory of a process and its descendants, in KiB; 0 on systems without /proc. */
async function memoryOfTree(root: number): Promise<number> {
  const pids = (await readdir("/proc").catch(() => [])).filter((name) => /^\d+$/.test(name));
  const found = new Map<number, { parent: number; kib: number }>();
  for (const pid of pids) {
    const status = await readFile(`/proc/${pid}/status`, "utf8").catch(() => "");
    const number = (key: string) =>
      Number(new RegExp(`^${key}:\\s+(\\d+)`, "m").exec(status)?.[1] ?? 0);
    found.set(Number(pid), { parent: number("PPid"), kib: number("VmRSS") });
  }
  const isInTree = (pid: number): boolean =>
    pid === root || (pid > 1 && isInTree(found.get(pid)?.parent ?? 0));
  return [...found].reduce((sum, [pid, { kib }]) => sum + (isInTree(pid) ? kib : 0), 0);
}

function print(subject: string, { perMinute, peakMib }: Rate): void {
  console.log(
    `${subject}: ${perMinute.toFixed(1)} a minute; peak memory ${Math.round(peakMib)} MiB`,
  );
}
