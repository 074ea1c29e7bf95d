import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { describeEngine, eventually } from "./engine.ts";
import { type AgentStage, startStage } from "./stage.ts";

/** A metric in the documented alerts, and its output label. */
const SELECTOR = /(fluentbit_[a-z_]+)(?:\{(name="[a-z]+")\})?/g;

describeEngine("The agent's alerts", () => {
  let stage: AgentStage;
  before(async () => {
    stage = await startStage();
    await stage.engine.start();
  });
  after(() => stage.close());

  it("use metrics that the engine exports", async () => {
    const { tenant, log } = await stage.project();
    // The engine exports the count of overlong lines only after the first one.
    await stage.node.writeBytes(log, Buffer.alloc(600 * 1024, "x"));
    await stage.node.write(log, ["x"]);
    await eventually(() => stage.sink.taken.has(tenant), { what: "a line" });
    const page = await readFile(new URL("../../docs/agent.md", import.meta.url), "utf8");
    const used = new Map([...page.matchAll(SELECTOR)].map((found) => [found[0], found]));
    assert.ok(used.size >= 8);
    const scraped = (await stage.engine.metrics()).split("\n");
    const unknown = [...used.values()].filter(
      ([, name = "", label = ""]) =>
        !scraped.some((line) => line.startsWith(`${name}{`) && line.includes(label)),
    );
    assert.deepEqual(
      unknown.map(([selector]) => selector),
      [],
    );
  });
});
