import assert from "node:assert/strict";
import { EventLog } from "../../../automation/operations/event-log.ts";
import type { NumberedEvent } from "../../../core/operation.ts";
import { InfraError } from "../../../core/errors.ts";

type Entry = Omit<NumberedEvent, "number">;

const EVENT = { event: "diagnostic", severity: "info", message: "made" } as const;

describe("EventLog", () => {
  it("keeps events while the database is away, and writes them once it is back", async () => {
    const written: Entry[] = [];
    let away = true;
    const log = new EventLog(async (events) => {
      if (away) throw new InfraError("RDEV_UNREACHABLE", "away");
      written.push(...events);
    });
    log.add(EVENT);
    await assert.rejects(log.flush(), { code: "RDEV_UNREACHABLE" });
    away = false;
    await log.flush();
    log.end();
    assert.deepEqual(
      written.map(({ event }) => event),
      [EVENT],
    );
  });

  it("replaces events that the database refuses by their number, and does not retry them", async () => {
    const written: Entry[] = [];
    const log = new EventLog(async (events) => {
      if (events.some(({ event }) => "message" in event && event.message === "bad")) {
        throw new InfraError("RDEV_REFUSED", "no such text");
      }
      written.push(...events);
    });
    log.add({ ...EVENT, message: "bad" });
    await log.flush();
    log.add(EVENT);
    await log.flush();
    log.end();
    const messages = written.map(({ event }) => ("message" in event ? event.message : ""));
    assert.deepEqual(messages, [
      "1 events could not be recorded. RDEV_REFUSED: no such text",
      "made",
    ]);
  });
});
