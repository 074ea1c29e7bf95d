import assert from "node:assert/strict";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describeEngine, eventually } from "./engine.ts";
import { type AgentStage, startStage } from "./stage.ts";

const MIB = 2 ** 20;
const CALM_LINES = 60;

describeEngine("The agent's tenants on one node", function () {
  this.timeout(300_000);
  let stage: AgentStage;
  afterEach(() => stage.close());

  /** Writes a line every 250 ms. */
  const writeSlowly = async (log: Awaited<ReturnType<AgentStage["project"]>>["log"]) => {
    for (let line = 0; line < CALM_LINES; line += 1) {
      await stage.node.write(log, [`calm ${line}`]);
      await sleep(250);
    }
  };
  const calmLines = Array.from({ length: CALM_LINES }, (_, line) => `calm ${line}`);

  it("are not affected by a container that writes 50,000 lines a second, which is limited and notified", async () => {
    stage = await startStage({ containerLinesPerSecond: 100 });
    const [flood, calm] = [await stage.project(), await stage.project()];
    await stage.engine.start();
    const started = Date.now();
    const slowlyWritten = writeSlowly(calm.log);
    const written = 50_000 * 5;
    for (let second = 0; second < 5; second += 1) {
      await stage.node.write(
        flood.log,
        Array.from({ length: 50_000 }, (_, line) => `flood ${second} ${line}`),
      );
      await sleep(1_000);
    }
    await slowlyWritten;
    await eventually(() => new Set(stage.sink.messages(calm.tenant)).size >= CALM_LINES, {
      what: "all of the calm lines",
    });
    assert.deepEqual([...new Set(stage.sink.messages(calm.tenant))], calmLines);
    // The agent reports dropped lines with the first line after a minute.
    await sleep(Math.max(0, started + 65_000 - Date.now()));
    await stage.node.write(flood.log, ["the flood is over"]);
    const floodMessages = () => stage.sink.messages(flood.tenant);
    await eventually(() => floodMessages().includes("the flood is over"), { what: "its end" });
    const passed = new Set(floodMessages().filter((message) => message.startsWith("flood "))).size;
    assert.ok(passed >= 3_000 && passed < 6_000, `${passed} of ${written} passed`);
    const notices = floodMessages().filter((message) => message.startsWith("The log agent"));
    assert.match(notices[0] ?? "", /drops lines of this container: it writes more than 100 lines/);
    assert.match(notices[1] ?? "", new RegExp(`dropped ${written - passed} lines`));
    assert.ok(stage.sink.taken.size === 2, "a notice went to another tenant");
  });

  it("lose nothing when Citadel refuses another tenant, which has a limited share of the disk and is notified of its losses", async () => {
    stage = await startStage({
      bufferMiB: 64,
      tenantMiB: 8,
      containerLinesPerSecond: 1_000_000,
      containerKiBPerSecond: 1_048_576,
    });
    const [refused, calm] = [await stage.project(), await stage.project()];
    stage.sink.refused.add(refused.tenant);
    await stage.engine.start();
    const slowlyWritten = writeSlowly(calm.log);
    const lines = 60_000; // about 60 MiB, and more as events
    for (let line = 0; line < lines; line += 2_000) {
      await stage.node.write(
        refused.log,
        Array.from({ length: 2_000 }, (_, index) => `refused ${line + index} ${"x".repeat(1_000)}`),
      );
      await sleep(300);
    }
    await slowlyWritten;
    await eventually(() => new Set(stage.sink.messages(calm.tenant)).size >= CALM_LINES, {
      what: "all of the calm lines",
    });
    assert.deepEqual([...new Set(stage.sink.messages(calm.tenant))], calmLines);
    const used = await sizeOf(join(stage.engine.state, "chunks"));
    // Half of the 40 MiB for waiting chunks, and some more for a chunk in flight and one second of input.
    assert.ok(used > 8 * MIB && used < 32 * MIB, `${used / MIB} MiB`);

    stage.sink.refused.clear();
    const messages = () => stage.sink.messages(refused.tenant);
    const isNotice = (message: string) => /drops lines of this environment/.test(message);
    await eventually(() => messages().some(isNotice), { what: "the notice", timeout: 120_000 });
  });
});

async function sizeOf(folder: string): Promise<number> {
  const files = await readdir(folder, { recursive: true, withFileTypes: true });
  const sizes = files
    .filter((file) => file.isFile())
    .map(
      async ({ parentPath, name }) =>
        (await stat(join(parentPath, name)).catch(() => undefined))?.size ?? 0,
    );
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
}
