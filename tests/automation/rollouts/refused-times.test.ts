import assert from "node:assert/strict";
import { RefusedTimes } from "../../../automation/rollouts/refused-times.ts";

describe("the times of refused submissions", () => {
  let now = 0;
  beforeEach(() => {
    now = 1_000;
  });

  it("are counted from the first refusal of each submission", () => {
    const times = new RefusedTimes(() => now);
    assert.equal(times.add("app"), undefined);
    now += 2_000;
    assert.equal(times.add("blog"), undefined);
    assert.equal(times.add("app"), 2_000);
    now += 58_000;
    assert.deepEqual([times.add("app"), times.add("blog")], [60_000, 58_000]);
    times.delete("app");
    assert.equal(times.add("app"), undefined);
  });

  it("begin anew after a pause, so that one refusal ends no project", () => {
    const times = new RefusedTimes(() => now);
    times.add("app");
    now += 3_600_000;
    assert.equal(times.add("app"), undefined);
  });
});
