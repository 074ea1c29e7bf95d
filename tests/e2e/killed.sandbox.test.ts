import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { execa } from "execa";
import { until } from "../../sandbox/process.ts";
import { runCli, type Ran } from "../cli/run-cli.ts";
import { madeByHand } from "../support/by-hand.ts";
import { killEngine, type Killed } from "../support/kill-engine.ts";
import { proveAlone } from "../support/proofs.ts";
import { seeded } from "../support/random.ts";
import { projects, succeeded, unchanged, type Project } from "../support/stage.ts";
import { ownerOfStack, StackState } from "../../automation/engine/state.ts";

/** `npm run test:kills` uses 50. At each point, an up and a destroy are killed. */
const POINTS = Number(process.env["KILL_POINTS"] ?? 3);
/** The same seed kills at the same points of an operation. */
const SEED = Number(process.env["KILL_SEED"] ?? Math.floor(Math.random() * 1e9));

/** Killed engines whose plugins still run beside the next operation. */
const withPlugins: Killed[] = [];

describe("an operation whose engine is killed", function () {
  this.timeout(300_000);
  const project = projects();
  afterEach(() => withPlugins.splice(0).forEach(({ killPlugins }) => killPlugins()));

  it("reports how to remove its lock, and the next up completes it without duplicates", async () => {
    const one = await project();
    for (const type of ["gitea:Repository", "apps/v1:Deployment", "woodpecker:Pipeline"]) {
      await killedAt(one, type);
      const { errors } = await one.up();
      assert.equal(errors.length, 1, JSON.stringify(errors));
      assert.match(errors[0]!.message, /no longer runs\. "pulumi cancel [\w.-]+" removes the lock/);
      await breakLock(one);
    }
    succeeded(await one.refresh());
    succeeded(await one.up());
    await proveAlone(one.stage());
    unchanged(await one.preview());
    succeeded(await one.destroy());
    assert.deepEqual(await one.onServers(), []);
  });

  it("leaves nothing after a destroy, even objects whose creation was not recorded", async () => {
    for (const [type, kind, isThere] of [
      ["gitea:Repository", "repository", /^gitea: repository/],
      ["citadel:Environment", "tenant", /^citadel: tenant/],
      ["woodpecker:Repository", "ci", /^woodpecker: repository/],
    ] as const) {
      const one = await killedWhileCreating(type);
      // The command may or may not have sent its request, and the server may still be processing it. If
      // making the object by hand fails for that reason, the object must appear soon.
      const isMade = async () => (await one.onServers()).some((what) => isThere.test(what));
      if (!(await isMade())) {
        const byHand = madeByHand(one, await ownerOfStack(one.stack, one.workDir))[kind];
        const refused = await byHand.make().then(
          () => undefined,
          (error: unknown) => error,
        );
        await until(async () => assert.ok(await isMade(), `${kind}: ${String(refused)}`));
      }
      succeeded(await one.destroy());
      assert.deepEqual(await one.onServers(), [], type);
    }
  });

  /**
   * A project whose up was killed while the creation was on record. The engine reports that it starts
   * one before it writes that to the state, and sends the request only afterwards.
   */
  async function killedWhileCreating(type: string): Promise<Project> {
    for (;;) {
      const one = await project();
      await killedAt(one, type);
      await breakLock(one);
      const state = await StackState.find(one.stack, one.workDir);
      if (state?.halfCreated.some((resource) => resource.type.endsWith(type))) return one;
      if (state) succeeded(await one.destroy());
    }
  }

  describe(`at ${POINTS} random points of up and of destroy (KILL_SEED=${SEED})`, () => {
    const random = seeded(SEED);
    let durations: { up: number; destroy: number };

    before(async () => {
      const one = await project();
      const { durationMs: up } = succeeded(await one.up());
      durations = { up, destroy: succeeded(await one.destroy()).durationMs };
    });

    for (let point = 1; point <= POINTS; point++) {
      const atUp = random();
      const atDestroy = random();
      const plugins = random() < 0.5 ? "killed" : "running";
      const isFinished = point % 2 === 1;
      const next = isFinished ? "completed by the next, then" : "then immediately";

      it(`up at ${percent(atUp)}, ${next} destroy at ${percent(atDestroy)}, plugins ${plugins}`, async () => {
        const one = await project();
        const kill = (operation: "up" | "destroy", part: number) =>
          killedAfter(one, operation, { ms: part * durations[operation], plugins });
        await kill("up", atUp);
        if (isFinished) {
          succeeded(await one.up());
          await proveAlone(one.stage());
          unchanged(await one.preview());
        }
        // Destroying half a project takes less than half of the time.
        if (isFinished || (await hasRecord(one))) {
          await kill("destroy", isFinished ? atDestroy : (atDestroy * atUp) / 2);
          succeeded(await one.destroy());
        }
        assert.deepEqual(await one.onServers(), []);
      });
    }
  });
});

/** Whether the stack exists. An up that was killed at its start has not made it. */
async function hasRecord({ stack, workDir }: Project): Promise<boolean> {
  const { stdout } = await execa("pulumi", ["stack", "ls", "--json"], { cwd: workDir });
  return (JSON.parse(stdout) as { name: string }[]).some(({ name }) => name === stack);
}

function percent(part: number): string {
  return `${Math.round(part * 100)} %`;
}

async function breakLock({ stack, workDir }: Project): Promise<void> {
  const { exitCode, stderr } = await execa("pulumi", ["cancel", "--yes", stack], {
    cwd: workDir,
    reject: false,
  });
  // An up that was killed at its start has not made the stack.
  assert.ok(exitCode === 0 || /no stack named/.test(stderr), stderr);
}

/** Kills the engine `ms` after the start. If the operation was faster, undoes it and tries half the time. */
async function killedAfter(
  one: Project,
  operation: "up" | "destroy",
  { ms, plugins }: { ms: number; plugins: "killed" | "running" },
): Promise<void> {
  const killing = new AbortController();
  const killed = sleep(ms, undefined, { signal: killing.signal }).then(
    () => killWhenItRuns(one.stack, killing.signal),
    () => undefined,
  );
  const { code } = await command(one, operation);
  killing.abort();
  const killer = await killed;
  if (!killer) {
    assert.equal(code, 0);
    succeeded(await one[operation === "up" ? "destroy" : "up"]());
    return killedAfter(one, operation, { ms: ms / 2, plugins });
  }
  assert.equal(code, 1);
  if (plugins === "killed") killer.killPlugins();
  else withPlugins.push(killer);
  await breakLock(one);
}

/** Runs the operation in a process of its own, because its engine will be killed. */
function command(
  { stack, name, workDir }: Project,
  operation: "up" | "destroy",
  onOutput: (stdout: string) => void = () => undefined,
): Promise<Ran> {
  const config = operation === "up" ? ["--config", `name=${name}`] : ["--remove"];
  const args = [operation, stack, "--yes", "--json", "--work-dir", workDir, ...config];
  return runCli(args, { onOutput });
}

async function killWhenItRuns(stack: string, signal: AbortSignal): Promise<Killed | undefined> {
  while (!signal.aborted) {
    const killed = killEngine(stack);
    if (killed) return killed;
    await sleep(20);
  }
  return undefined;
}

/** Kills the engine as soon as it starts to create a resource of that type. */
async function killedAt(one: Project, type: string): Promise<void> {
  const begun = new RegExp(`"resourceStarted"[^\\n]*${type}"[^\\n]*"op":"create"`);
  let killed: Killed | undefined;
  const onOutput = (stdout: string) => {
    if (begun.test(stdout)) killed ??= killEngine(one.stack);
  };
  assert.equal((await command(one, "up", onOutput)).code, 1);
  assert.ok(killed, `${type} was not begun`);
  killed.killPlugins();
}
