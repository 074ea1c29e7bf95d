import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Operation } from "../../../core/operation.ts";
import { argumentsOf, startTimeOf } from "../../../automation/processes/processes.ts";
import { workerProcesses } from "../../../automation/worker/environment.ts";
import { until } from "../../../sandbox/process.ts";
import { OperationsStage } from "../../support/operations-stage.ts";
import { platformStage } from "../../support/stage.ts";
import { uniqueSlug } from "../../support/unique-slug.ts";

const PROGRAM = fileURLToPath(new URL("../../support/plugin-program.ts", import.meta.url));

describe("plugins that the service keeps", function () {
  this.timeout(400_000);
  let stage: OperationsStage;
  let folder: string;
  let slugs: string[];

  before(() => platformStage());
  beforeEach(async () => {
    stage = await OperationsStage.open();
    folder = await mkdtemp(join(tmpdir(), "rdev-kept-"));
    slugs = [];
  });
  afterEach(async () => {
    for (const slug of slugs) await stage.end(await stage.submit(slug, { kind: "destroy" }));
    await stage.close();
    await rm(folder, { recursive: true, force: true });
  });

  const newSlug = () => {
    const slug = uniqueSlug();
    slugs.push(slug);
    return slug;
  };
  const start = (options = {}) =>
    stage.runner({ program: PROGRAM, keepsPlugins: true, concurrency: 2, ...options });
  const up = (name: string, slug = newSlug()) => stage.up(slug, name);
  async function succeeds(begun: Promise<Operation>): Promise<Operation> {
    const operation = await stage.end(await begun);
    assert.deepEqual(operation.outcome?.errors, []);
    assert.equal(operation.state, "succeeded");
    return operation;
  }
  async function runnerOf({ id }: Operation): Promise<string> {
    const [attempt] = await stage.test.admin(
      `SELECT runner FROM operation_attempts WHERE operation_id = '${id}' ORDER BY attempt DESC`,
    );
    return (attempt as { runner: { id: string } }).runner.id;
  }
  const pluginsOf = (runner: string) => workerProcesses(`${runner}/plugins-`).toSorted();
  const textIn = (file: string) => readFile(file, "utf8").catch(() => "");

  /** Starts an up whose command waits. */
  async function waiting(name: string) {
    const file = join(folder, name);
    const slug = newSlug();
    const operation = await up(`wait=${file}`, slug);
    await until(async () => assert.match(await textIn(file), /^began/));
    const command = Number(/\d+/.exec(await textIn(file))?.[0]);
    const runner = await runnerOf(operation);
    const plugins = pluginsOf(runner);
    const go = () => writeFile(`${file}.go`, "");
    return { operation, slug, file, runner, plugins, command, go };
  }
  const areGone = (pids: readonly number[]) =>
    until(() => assert.ok(pids.every((pid) => startTimeOf(pid) === undefined)));

  it("serve the next operation, which sees nothing of the one before", async () => {
    await start({ concurrency: 1 });
    const planted = `planted-${uniqueSlug()}`;
    const first = await succeeds(up(`secret=${planted}`));
    const runner = await runnerOf(first);
    const used = pluginsOf(runner);
    assert.ok(used.length >= 2);
    const second = await succeeds(up("environment"));
    assert.deepEqual(pluginsOf(runner), used, "the same plugins");
    assert.equal(second.outcome?.outputs["stdout"], "0");
    const all = JSON.stringify([
      second,
      await stage.operations.events(second.id, 0, 1000),
      stage.log,
      used.map(argumentsOf),
    ]);
    assert.ok(!all.includes(planted));
    const view = { kind: "preview", settings: {}, of: "up" } as const;
    await succeeds(stage.submit(slugs[0]!, view));
    await succeeds(stage.submit(slugs.pop()!, { kind: "destroy" }));
    assert.deepEqual(pluginsOf(runner), used, "also for a preview and a destroy");
  });

  it("serve one operation at a time", async () => {
    await start({ concurrency: 2 });
    const one = await waiting("one");
    const other = await waiting("other");
    assert.ok(other.plugins.length > one.plugins.length);
    await Promise.all([one.go(), other.go()]);
    await succeeds(Promise.resolve(one.operation));
    await succeeds(Promise.resolve(other.operation));
  });

  it("end their calls when the operation is cancelled, and do not serve another", async () => {
    await start();
    const cancelled = await waiting("cancelled");
    await stage.operations.cancel(cancelled.operation.id, "ada");
    const { state } = await stage.end(cancelled.operation);
    assert.equal(state, "cancelled");
    await areGone([...cancelled.plugins, cancelled.command]);
    assert.doesNotMatch(await textIn(cancelled.file), /ended/);
    await succeeds(up("plain", cancelled.slug));
  });

  it("fail the operation if one of them is killed, and the next one gets others", async () => {
    await start();
    const hit = await waiting("hit");
    const plugin = hit.plugins.find((pid) => argumentsOf(pid).includes("command"));
    process.kill(plugin!, "SIGKILL");
    const ended = await stage.end(hit.operation);
    assert.equal(ended.state, "failed");
    await areGone([...hit.plugins, hit.command]);
    await succeeds(up("plain", hit.slug));
  });

  it("end with a killed worker before its operation is tried again", async () => {
    await start();
    const hit = await waiting("hit");
    for (const pid of workerProcesses(`${hit.runner}/1.`)) process.kill(pid, "SIGKILL");
    await areGone([...hit.plugins, hit.command]);
    assert.doesNotMatch(await textIn(hit.file), /ended/);
    await hit.go();
    const ended = await succeeds(Promise.resolve(hit.operation));
    assert.equal(ended.attempts, 2);
    assert.equal((await textIn(hit.file)).match(/ended/g)?.length, 1);
  });

  for (const [what, signal] of [
    ["dies", "SIGKILL"],
    ["hangs for longer than the lease", "SIGSTOP"],
  ] as const) {
    it(`end with what they work on if the service ${what}`, async () => {
      const replica = await stage.replica(PROGRAM);
      const hit = await waiting("hit");
      const exited = once(replica, "exit");
      replica.kill(signal);
      await areGone([...hit.plugins, hit.command]);
      assert.doesNotMatch(await textIn(hit.file), /ended/);
      if (signal === "SIGKILL") await exited;
      else replica.kill("SIGCONT");
      await hit.go();
      await start();
      await succeeds(Promise.resolve(hit.operation));
    });
  }

  it("are not kept if the service is told so", async () => {
    await start({ keepsPlugins: false });
    const operation = await succeeds(up("environment"));
    assert.deepEqual(pluginsOf(await runnerOf(operation)), []);
  });
});
