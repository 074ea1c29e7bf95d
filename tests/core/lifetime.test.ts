import assert from "node:assert/strict";
import fc from "fast-check";
import {
  deletionTime,
  dueStep,
  effectiveExpiry,
  expiryOf,
  LIFETIME_STEPS,
  type LifetimeStep,
  retryDelay,
} from "../../core/lifetime.ts";

const HOUR = 3_600_000;
const hours = fc.integer({ min: 0, max: 1_000 });
const settings = fc.record({ noticeHours: hours, graceHours: hours });

/** The times at which a service does the steps that looks at a project at these times. */
function stepsAt(
  times: readonly number[],
  expiresAt: (now: number) => number,
  limits: { noticeHours: number; graceHours: number },
): Map<LifetimeStep, number> {
  const done = new Map<LifetimeStep, number>();
  for (const now of times) {
    const progress = { noticedAt: done.get("notice"), stoppedAt: done.get("stop") };
    const step = dueStep(expiresAt(now), progress, limits, now);
    if (step && !done.has(step)) done.set(step, now);
  }
  return done;
}

describe("a project's time to live", () => {
  const times = fc.array(fc.integer({ min: 0, max: 3_000 }), { minLength: 1, maxLength: 60 });

  it("ends with a notice, a stop and a destroy, in this order, whenever the service looks", () => {
    fc.assert(
      fc.property(times, fc.integer({ min: 0, max: 1_000 }), settings, (looks, end, limits) => {
        const sorted = looks.map((hour) => hour * HOUR).toSorted((a, b) => a - b);
        const done = stepsAt(sorted, () => end * HOUR, limits);
        assert.deepEqual([...done.keys()], LIFETIME_STEPS.slice(0, done.size));
        const [notice = Infinity, stop = Infinity, destroy = Infinity] = LIFETIME_STEPS.map(
          (step) => done.get(step) ?? Infinity,
        );
        assert.ok(notice >= (end - limits.noticeHours) * HOUR);
        assert.ok(stop >= end * HOUR);
        assert.ok(destroy >= Math.min(stop, Infinity) + limits.graceHours * HOUR);
        if (done.has("stop")) {
          assert.ok(destroy >= deletionTime(end * HOUR, stop, limits.graceHours));
        }
      }),
    );
  });

  it("never deletes a project that was prolonged before", () => {
    fc.assert(
      fc.property(
        times,
        settings,
        fc.integer({ min: 0, max: 3_000 }),
        (looks, limits, prolonged) => {
          const sorted = looks.map((hour) => hour * HOUR).toSorted((a, b) => a - b);
          const end = (now: number) => (now < prolonged * HOUR ? 500 * HOUR : Infinity);
          const destroyed = stepsAt(sorted, end, limits).get("destroy") ?? -Infinity;
          assert.ok(destroyed < prolonged * HOUR);
        },
      ),
    );
  });

  it("is endless by default, and the later of the recorded and the requested end", () => {
    assert.equal(expiryOf({}), Infinity);
    assert.equal(expiryOf({ expiresAt: "never" }), Infinity);
    assert.equal(expiryOf({ expiresAt: "1970-01-01T01:00:00+00:30" }), HOUR / 2);
    assert.equal(effectiveExpiry(5, undefined), 5);
    assert.equal(effectiveExpiry(5, Infinity), Infinity);
    assert.equal(effectiveExpiry(5, 3), 5);
  });

  it("is retried after a growing wait of at most 6 hours", () => {
    assert.equal(retryDelay(1), 300_000);
    assert.equal(retryDelay(2), 600_000);
    assert.equal(retryDelay(1_000), 6 * HOUR);
  });
});
