import assert from "node:assert/strict";
import {
  EngineTimeline,
  Timeline,
  timed,
  withTimeline,
} from "../../../automation/engine/timeline.ts";
import { until } from "../../../sandbox/process.ts";

const URN = "urn:pulumi:staging.shop::rdev::rdev:components:Cache$redis:User::shop";

/** Long enough to be recorded. */
const someTime = () => {
  const begin = performance.now();
  return until(() => assert.ok(performance.now() - begin > 6));
};

describe("the timeline of an operation", () => {
  it("has the engine's start, each resource and what it waits for", async () => {
    const timeline = new Timeline();
    const engine = new EngineTimeline(timeline);
    const metadata = { urn: URN } as never;
    engine.onStart();
    await someTime();
    engine.onEvent({ sequence: 1, timestamp: 0, preludeEvent: { config: {} } });
    engine.onEvent({ sequence: 2, timestamp: 0, resourcePreEvent: { metadata } });
    await someTime();
    engine.onWait(URN, "its port");
    await someTime();
    engine.onWait(URN, "its user");
    await someTime();
    engine.onEvent({ sequence: 3, timestamp: 0, resOutputsEvent: { metadata } });
    assert.deepEqual(
      timeline.timings.map(({ kind, name }) => [kind, name]),
      [
        ["engine", "start"],
        ["resource", "redis:User shop"],
        ["wait", "redis:User shop: its port"],
        ["wait", "redis:User shop: its user"],
      ],
    );
    const [start, resource, port, user] = timeline.timings;
    assert.ok(start && resource && port && user);
    assert.ok(resource.startMs >= start.startMs + start.durationMs - 1);
    assert.ok(resource.durationMs >= port.durationMs + user.durationMs - 2);
  });

  it("is the caller's, also within an operation, and leaves out what took no time", async () => {
    const timings = await withTimeline(async (outer) => {
      await timed("command", "up", someTime);
      await withTimeline((inner) => Promise.resolve(assert.equal(inner, outer)));
      await timed("command", "quick", () => Promise.resolve());
      await assert.rejects(timed("proof", "dns", () => someTime().then(() => assert.fail("no"))));
      return outer.timings;
    });
    assert.deepEqual(
      timings.map(({ kind, name }) => `${kind} ${name}`),
      ["command up", "proof dns"],
    );
  });
});
