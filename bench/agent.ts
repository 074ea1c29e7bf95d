/**
 * Measures the throughput and the memory of the log agent, side by side with an earlier version of its
 * configuration on the same engine: `npm run bench:agent [-- --against <git ref>] [--lines 300000]
 * [--pairs 3] [--bound 1]`, with a real `fluent-bit` on PATH. Ends with an error if the agent does not
 * handle `bound` times as many lines a CPU second as the earlier version. Other work on the machine changes
 * CPU seconds little, and both versions alike: they run alternately.
 */
import { mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { execa } from "execa";
import { cpuSecondsOf, peakMemoryOf } from "../automation/processes/processes.ts";
import { agentConfiguration } from "../components/citadel-agent/configuration.ts";
import { mochaGlobalSetup, mochaGlobalTeardown } from "../tests/support/sandbox.ts";
import { eventually } from "../tests/agent/engine.ts";
import { type AgentStage, startStage } from "../tests/agent/stage.ts";
import { machine } from "./machine.ts";
import { mebibytes } from "./memory.ts";

/** The last commit before the agent's fast path. */
const REFERENCE = "d40bf5f0";
const ROOT = join(import.meta.dirname, "..");

type Configure = typeof agentConfiguration;
interface Measured {
  readonly lines: number;
  readonly cpuSeconds: number;
  /** The peak of resident memory, in bytes. */
  readonly memory: number;
  /** The size of the largest request, in bytes. */
  readonly request: number;
}

const { values } = parseArgs({
  options: {
    against: { type: "string", default: REFERENCE },
    lines: { type: "string", default: "300000" },
    tenants: { type: "string", default: "200" },
    pairs: { type: "string", default: "3" },
    bound: { type: "string", default: "1" },
  },
});
const LINES = Number(values.lines);
const TENANTS = Number(values.tenants);

console.log(machine());
const folder = await mkdtemp(join(tmpdir(), "rdev-bench-agent-"));
await mochaGlobalSetup();
try {
  const earlier = await configurationOf(values.against);
  const ratios = [
    await compare("JSON, as slog writes it", earlier, (configure) =>
      oneTenant(configure, (number) =>
        JSON.stringify({
          time: "2026-03-01T10:15:30.123456789Z",
          level: "INFO",
          msg: "request served",
          method: "GET",
          path: `/orders/${number}`,
          status: 200,
          duration_ms: 12.5,
        }),
      ),
    ),
    await compare("text", earlier, (configure) =>
      oneTenant(
        configure,
        (number) =>
          `GET /orders/${number} 200 in 12.5 ms, as text of about 100 bytes ${"x".repeat(40)}`,
      ),
    ),
    await compare(`${TENANTS} tenants`, earlier, manyTenants),
  ];
  // The last one counts for no bound: with many tenants the engine's own work per chunk decides.
  const worst = Math.min(...ratios.slice(0, 2));
  if (worst < Number(values.bound)) {
    console.error(`The agent is slower than the bound: ${worst.toFixed(2)} < ${values.bound}.`);
    process.exitCode = 1;
  }
} finally {
  await mochaGlobalTeardown();
  await rm(folder, { recursive: true });
}

/** The configuration of an earlier commit. */
async function configurationOf(ref: string): Promise<Configure> {
  const path = "components/citadel-agent";
  const archive = await execa("git", ["archive", ref, path, "package.json"], {
    cwd: ROOT,
    encoding: "buffer",
  });
  await execa("tar", ["-x", "-C", folder], { input: archive.stdout });
  await symlink(join(ROOT, "node_modules"), join(folder, "node_modules"));
  const module = (await import(join(folder, path, "configuration.ts"))) as {
    agentConfiguration: Configure;
  };
  return module.agentConfiguration;
}

/** Measures both versions alternately. Returns how many times as many lines a CPU second this one handles. */
async function compare(
  title: string,
  earlier: Configure,
  measure: (configure: Configure) => Promise<Measured>,
): Promise<number> {
  const before: Measured[] = [];
  const now: Measured[] = [];
  for (let pair = 0; pair < Number(values.pairs); pair += 1) {
    before.push(await measure(earlier));
    now.push(await measure(agentConfiguration));
  }
  const ratio = speed(now) / speed(before);
  console.log(
    `${title}: ${ratio.toFixed(2)} times as many lines a CPU second as ${values.against}`,
  );
  console.log(`  ${values.against}: ${describe(before)}\n  now: ${describe(now)}`);
  return ratio;
}

function speed(all: readonly Measured[]): number {
  const sum = (key: "lines" | "cpuSeconds") => all.reduce((total, each) => total + each[key], 0);
  return sum("lines") / sum("cpuSeconds");
}

function describe(all: readonly Measured[]): string {
  const most = (key: "memory" | "request") => Math.max(...all.map((each) => each[key]));
  return (
    `${Math.round(speed(all))} lines a CPU second, ${mebibytes(most("memory"))} at most, ` +
    `largest request ${(most("request") / 2 ** 20).toFixed(2)} MiB`
  );
}

async function oneTenant(
  configure: Configure,
  line: (number: number) => string,
): Promise<Measured> {
  return withStage(configure, async (stage) => {
    const { tenant, log } = await stage.project();
    await stage.node.write(
      log,
      Array.from({ length: LINES }, (_, number) => line(number)),
    );
    await stage.engine.start();
    await eventually(() => stage.sink.messages(tenant).length >= LINES, { timeout: 300_000 });
    return measured(stage, LINES);
  });
}

async function manyTenants(configure: Configure): Promise<Measured> {
  return withStage(configure, async (stage) => {
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
      { timeout: 300_000 },
    );
    return measured(stage, TENANTS * 600);
  });
}

async function withStage(
  configure: Configure,
  work: (stage: AgentStage) => Promise<Measured>,
): Promise<Measured> {
  const stage = await startStage({ configure });
  try {
    return await work(stage);
  } finally {
    await stage.close();
  }
}

function measured({ engine: { pid = 0 }, sink }: AgentStage, lines: number): Measured {
  return {
    lines,
    cpuSeconds: cpuSecondsOf(pid),
    memory: peakMemoryOf(pid),
    request: Math.max(...sink.requests.map(({ bytes }) => bytes)),
  };
}
