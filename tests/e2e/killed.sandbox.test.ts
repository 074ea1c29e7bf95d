import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { execa } from "execa";
import type { OperationEvent } from "../../automation/engine/events.ts";
import { proveAlone } from "../support/proofs.ts";
import { projects, succeeded, unchanged, type Project } from "../support/stage.ts";

describe("an up whose engine is killed", function () {
  this.timeout(180_000);
  const project = projects();

  it("says how to break its lock, and the next one finishes with nothing doubled", async () => {
    const one = await project();
    for (const type of ["gitea:Repository", "apps/v1:Deployment", "woodpecker:Pipeline"]) {
      await killedAt(one, type);
      const { errors } = await one.up();
      assert.equal(errors.length, 1, JSON.stringify(errors));
      assert.match(errors[0]!.message, /no longer runs\. "pulumi cancel [\w.-]+" removes the lock/);
      await execa("pulumi", ["cancel", "--yes", one.stack], { cwd: one.workDir });
    }
    succeeded(await one.refresh());
    succeeded(await one.up());
    await proveAlone(one.stage());
    unchanged(await one.preview());
    succeeded(await one.destroy());
    assert.deepEqual(await one.onServers(), []);
  });
});

/** Kills the engine as soon as it begins to make a resource of that type. */
async function killedAt(one: Project, type: string): Promise<void> {
  let killed: Promise<number[]> | undefined;
  const onEvent = (event: OperationEvent) => {
    if (event.event === "resourceStarted" && event.op === "create" && event.type.endsWith(type)) {
      killed ??= killEngine(one.stack);
    }
  };
  const { result } = await one.up({ onEvent });
  assert.equal(result, "failed");
  const plugins = await killed;
  assert.ok(plugins && plugins.length > 0, `${type} was not begun`);
  // Pulumi's own plugin for dynamic resources does not notice that its engine is gone.
  for (const { pid } of await processes()) {
    if (plugins.includes(pid)) process.kill(pid, "SIGKILL");
  }
}

/** Kills the engine's whole group; answers with the processes that it had started. */
async function killEngine(stack: string): Promise<number[]> {
  const all = await processes();
  const engine = all.find(
    ({ words: [command = "", ...args] }) =>
      command.endsWith("pulumi") && args.includes("up") && args.includes(stack),
  );
  assert.ok(engine, "no engine runs");
  process.kill(-engine.pid, "SIGKILL");
  return all.filter(({ parent }) => parent === engine.pid).map(({ pid }) => pid);
}

interface Process {
  readonly pid: number;
  readonly parent: number;
  readonly words: readonly string[];
}

async function processes(): Promise<Process[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(
    pids.map(async (pid) => {
      const read = (name: string) => readFile(`/proc/${pid}/${name}`, "utf8").catch(() => "");
      const [, state, parent] = /\) (\w) (\d+)/.exec(await read("stat")) ?? [];
      const words = (await read("cmdline")).split("\0");
      return { pid: Number(pid), parent: Number(parent), words, isLive: state !== "Z" };
    }),
  );
  return found.filter(({ isLive, words }) => isLive && words[0] !== "");
}
