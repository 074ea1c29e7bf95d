import assert from "node:assert/strict";
import { stripVTControlCharacters } from "node:util";
import fc from "fast-check";
import { entryLine } from "../../cli/commands/logs.ts";

const ENTRY = {
  id: "1",
  timestamp: "2026-01-31T12:00:00.123Z",
  level: "warn",
  service: "rdev-api",
  message: "slow request",
  traceId: undefined,
  metadata: { environment: "staging", target: "", path: "/a b", duration_ms: 5001, tags: ["x"] },
};

describe("entryLine", () => {
  it("shows time, level, service, message and fields", () => {
    assert.equal(
      stripVTControlCharacters(entryLine(ENTRY)),
      "2026-01-31 12:00:00.123Z WARN  rdev-api  slow request  " +
        'environment=staging path="/a b" duration_ms=5001 tags=["x"]',
    );
  });

  it("escapes control characters, so a log line can neither control the terminal nor look like two", () => {
    const nasty = fc.string({
      unit: fc.constantFrom("\x1b", "[31m", "\n", "\r", "\u009b", "\u202e", "a"),
    });
    fc.assert(
      fc.property(nasty, (text) => {
        const entry = {
          ...ENTRY,
          message: text,
          service: text,
          level: text,
          metadata: { [text]: text },
        };
        const line = stripVTControlCharacters(entryLine(entry));
        assert.doesNotMatch(line, /[\p{Cc}\u202e]/u);
      }),
    );
  });
});
