import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { describeEngine } from "./describe-engine.ts";
import { eventually } from "./engine.ts";
import { type AgentStage, startStage } from "./stage.ts";

/** A metric, and the output that it is asked of. */
const SELECTOR = /(fluentbit_[a-z_]+)(?:\{(name="[a-z]+")\})?/g;

describeEngine("The agent's alerts", () => {
  let stage: AgentStage;
  before(async () => {
    stage = await startStage();
    await stage.engine.start();
  });
  after(() => stage.close());

  it("ask for metrics that the engine has", async () => {
    const { tenant, log } = await stage.project();
    // Of the lines that were too long there is no count before the first.
    await stage.node.writeBytes(log, Buffer.alloc(600 * 1024, "x"));
    await stage.node.write(log, ["x"]);
    await eventually(() => stage.sink.taken.has(tenant), { what: "a line" });
    const page = await readFile(new URL("../../docs/agent.md", import.meta.url), "utf8");
    const asked = new Map([...page.matchAll(SELECTOR)].map((found) => [found[0], found]));
    assert.ok(asked.size >= 8);
    const scraped = (await stage.engine.metrics()).split("\n");
    const unknown = [...asked.values()].filter(
      ([, name = "", label = ""]) =>
        !scraped.some((line) => line.startsWith(`${name}{`) && line.includes(label)),
    );
    assert.deepEqual(
      unknown.map(([selector]) => selector),
      [],
    );
  });
});
