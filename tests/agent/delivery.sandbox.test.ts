import assert from "node:assert/strict";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { replayRejected } from "../../automation/agent/replay.ts";
import { Citadel } from "../../providers/citadel/client.ts";
import { describeEngine, eventually } from "./engine.ts";
import { type AgentStage, startStage } from "./stage.ts";

const KILLS = 20;

describeEngine("The agent's delivery", () => {
  let stage: AgentStage;
  beforeEach(async () => {
    stage = await startStage();
  });
  afterEach(() => stage.close());

  it(`loses and mixes up no lines when it is killed ${KILLS} times under load`, async function () {
    this.timeout(400_000);
    const projects = await Promise.all([stage.project(), stage.project(), stage.project()]);
    let written = 0;
    let isOver = false;
    const writing = (async () => {
      while (!isOver) {
        for (const { tenant, log } of projects) {
          const lines = Array.from({ length: 50 }, (_, index) => {
            const number = written + index;
            return JSON.stringify({
              time: new Date().toISOString(),
              level: "INFO",
              msg: `${tenant} ${number}`,
            });
          });
          await stage.node.write(log, lines);
        }
        written += 50;
        await sleep(20);
      }
    })();
    await stage.engine.start();
    for (let kill = 0; kill < KILLS; kill += 1) {
      await sleep(Math.random() * 2_500);
      await stage.engine.kill();
      await stage.engine.start();
    }
    isOver = true;
    await writing;
    const numbers = Array.from({ length: written }, (_, number) => number);
    await eventually(
      () => projects.every(({ tenant }) => new Set(stage.sink.messages(tenant)).size >= written),
      { what: `all of ${written} lines a tenant`, timeout: 60_000 },
    );
    for (const { tenant } of projects) {
      const got = new Set(stage.sink.messages(tenant));
      assert.deepEqual(
        numbers.filter((number) => !got.has(`${tenant} ${number}`)),
        [],
      );
      assert.equal(
        [...got].every((message) => message.startsWith(tenant)),
        true,
      );
    }
    assert.deepEqual(
      [...stage.sink.taken.keys()].toSorted(),
      projects.map(({ tenant }) => tenant).toSorted(),
    );
  });

  for (const [what, rule] of [
    [
      "429 with retry_after",
      { status: 429, body: '{"error":"slow down","retry_after":1}', times: 2 },
    ],
    ["500", { status: 500, times: 2 }],
    ["a broken connection", { reset: true, times: 2 }],
    // The engine reads at most 4 KiB of an answer, and treats a larger one as no answer.
    ["a 500 that is too large", { status: 500, body: "x".repeat(5 * 2 ** 20), times: 2 }],
    ["a 202 that is too large", { status: 202, body: "x".repeat(5 * 2 ** 20), times: 2 }],
  ] as const) {
    it(`retries after ${what}`, async () => {
      const { tenant, log } = await stage.project();
      stage.sink.misbehave(rule);
      await stage.node.write(log, ["patient"]);
      await stage.engine.start();
      await eventually(() => stage.sink.taken.has(tenant), { what: "the line" });
      assert.deepEqual([...new Set(stage.sink.messages(tenant))], ["patient"]);
    });
  }

  for (const [seconds, what] of [
    [20, "within the engine's timeout"],
    [40, "after the engine's timeout"],
  ] as const) {
    it(`loses nothing and delays no other tenant when an answer comes after ${seconds} s, ${what}`, async function () {
      this.timeout(400_000);
      const projects = [await stage.project(), await stage.project()];
      stage.sink.misbehave({ delayMs: seconds * 1_000, times: 1 });
      for (const { log } of projects) await stage.node.write(log, ["patient"]);
      await stage.engine.start();
      await eventually(() => stage.sink.taken.size === 1, { what: "the other", timeout: 15_000 });
      await eventually(() => stage.sink.taken.size === 2, { what: "the slow one" });
      for (const { tenant } of projects) {
        assert.deepEqual([...new Set(stage.sink.messages(tenant))], ["patient"]);
      }
    });
  }

  it("keeps all lines while Citadel is away, through a restart", async () => {
    const { tenant, log } = await stage.project();
    stage.sink.misbehave({ reset: true });
    await stage.engine.start();
    await stage.node.write(
      log,
      Array.from({ length: 20_000 }, (_, number) => `line ${number} ${"x".repeat(200)}`),
    );
    await eventually(
      async () => (await stage.engine.metric("fluentbit_output_retries_total")) > 0,
      { what: "a retry" },
    );
    await stage.engine.kill();
    await stage.engine.start();
    stage.sink.misbehave(undefined);
    await eventually(() => new Set(stage.sink.messages(tenant)).size === 20_000, {
      what: "all lines",
      timeout: 90_000,
    });
  });

  it("loses nothing when the key changes: refused lines can be replayed", async () => {
    const { tenant, log } = await stage.project();
    const folder = join(stage.engine.state, "chunks/rejected");
    const dropped = () => stage.engine.metric("fluentbit_output_dropped_records_total");
    stage.sink.key = "ck_agent_second";
    await stage.node.write(log, [
      "with the old key",
      '{"level":50,"msg":"é","id":9007199254740993,"n":null,"l":[-1,1.5,70000]}',
    ]);
    await stage.engine.start();
    await eventually(async () => (await dropped()) === 2, { what: "the count" });
    await stage.engine.stop();
    await stage.engine.start({ key: stage.sink.key });
    await stage.node.write(log, ["with the new key"]);
    await eventually(() => stage.sink.messages(tenant).length === 1, { what: "the new line" });
    assert.equal((await readdir(folder)).length, 1);

    const citadel = new Citadel({ url: stage.sink.url, apiKey: stage.sink.key });
    assert.deepEqual(await replayRejected(folder, citadel), {
      files: 1,
      accepted: 2,
      refused: 0,
      orphaned: 0,
    });
    assert.deepEqual(stage.sink.messages(tenant), ["with the new key", "with the old key", "é"]);
    const { k8s: _, ...fields } = stage.sink.taken.get(tenant)?.[2]?.fields ?? {};
    assert.deepEqual(fields, { level: 50, id: "9007199254740993", n: null, l: [-1, 1.5, 70_000] });
    assert.deepEqual(await readdir(folder), []);
  });

  it("sets aside chunks that are answered 413, continues, and replays them in parts", async () => {
    const { tenant, log } = await stage.project();
    const other = await stage.project();
    const folder = join(stage.engine.state, "chunks/rejected");
    stage.sink.misbehave({ status: 413, times: 1 });
    await stage.node.write(
      log,
      Array.from({ length: 250 }, (_, number) => `${number}`),
    );
    await stage.engine.start();
    await eventually(
      async () => (await stage.engine.metric("fluentbit_output_dropped_records_total")) === 250,
      { what: "the count" },
    );
    await stage.node.write(other.log, ["on"]);
    await eventually(() => stage.sink.taken.has(other.tenant), { what: "the other" });
    const citadel = new Citadel({ url: stage.sink.url, apiKey: stage.sink.key });
    assert.equal((await replayRejected(folder, citadel)).accepted, 250);
    assert.equal(new Set(stage.sink.messages(tenant)).size, 250);
  });

  it("follows a file that is rotated during writes", async () => {
    const { tenant, log } = await stage.project();
    await stage.engine.start();
    for (let file = 0; file < 3; file += 1) {
      const lines = Array.from({ length: 500 }, (_, number) => `${file} ${number}`);
      await stage.node.write(log, lines);
      await stage.node.rotate(log);
      await stage.node.write(log, [`begin ${file}`]);
      // The kubelet checks files for rotation every 10 s, so each file exists that long.
      await eventually(() => stage.sink.messages(tenant).includes(`begin ${file}`));
    }
    await stage.node.write(log, ["end"]);
    await eventually(() => new Set(stage.sink.messages(tenant)).size === 1_504, {
      what: "all lines",
    });
  });
});
