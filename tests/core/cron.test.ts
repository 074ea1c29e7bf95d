import assert from "node:assert/strict";
import fc from "fast-check";
import { dueTime, lastTime } from "../../core/cron.ts";

const zones = fc.constantFrom("Etc/UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata");
const schedules = fc.constantFrom(
  "30 1 * * *",
  "*/15 * * * *",
  "0 2 * * 1-5",
  "30 2 * * 0",
  "0 0 1 * *",
);
const times = fc
  .date({ min: new Date("2026-01-01"), max: new Date("2027-12-31"), noInvalidDate: true })
  .map((date) => new Date(Math.floor(date.getTime() / 1000) * 1000));

describe("a schedule", () => {
  it("has its last time at or before now, and again at that time", () => {
    fc.assert(
      fc.property(schedules, zones, times, (schedule, timezone, now) => {
        const last = lastTime({ schedule, timezone }, now);
        assert.ok(last <= now);
        assert.deepEqual(lastTime({ schedule, timezone }, last), last);
        assert.ok(lastTime({ schedule, timezone }, new Date(last.getTime() - 1000)) < last);
      }),
    );
  });

  it("is due once for each of its times, whenever and by however many replicas it is asked", () => {
    fc.assert(
      fc.property(
        schedules,
        zones,
        times,
        fc.array(fc.integer({ min: 0, max: 40 * 24 * 60 }), { minLength: 1, maxLength: 40 }),
        (schedule, timezone, since, minutes) => {
          const begun: Date[] = [];
          for (const minute of minutes.toSorted((a, b) => a - b)) {
            const now = new Date(since.getTime() + minute * 60_000);
            const due = dueTime({ schedule, timezone }, now, begun.at(-1), since);
            if (due) begun.push(due);
            assert.equal(dueTime({ schedule, timezone }, now, begun.at(-1), since), undefined);
          }
          assert.equal(new Set(begun.map(Number)).size, begun.length);
          assert.deepEqual(
            begun.toSorted((a, b) => +a - +b),
            begun,
          );
          assert.ok(begun.every((time) => time > since));
        },
      ),
    );
  });

  it("follows the clock of its time zone, also where that jumps", () => {
    const last = (now: string, schedule = "30 1 * * *") =>
      lastTime({ schedule, timezone: "Europe/Berlin" }, new Date(now)).toISOString();
    assert.equal(last("2026-01-15T12:00:00Z"), "2026-01-15T00:30:00.000Z");
    assert.equal(last("2026-07-15T12:00:00Z"), "2026-07-14T23:30:00.000Z");
  });

  it("that is malformed is refused with the value and the reason", () => {
    for (const [schedule, timezone] of [
      ["61 1 * * *", "Etc/UTC"],
      ["0 1 * * *", "Mars/Phobos"],
    ] as const) {
      assert.throws(() => lastTime({ schedule, timezone }, new Date()), {
        code: "RDEV_SETTINGS",
        message: new RegExp(
          `^The schedule "${schedule.replaceAll("*", "\\*")}" in .*rdev:drift`,
          "s",
        ),
      });
    }
  });
});
