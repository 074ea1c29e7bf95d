import assert from "node:assert/strict";
import fc from "fast-check";
import { normalizeEvent } from "../../../providers/citadel/normalize.ts";

const GOOD = {
  message: "it works",
  level: "info",
  timestamp: "2026-01-31T12:00:00.000Z",
  service: "rdev-api",
  environment: "staging",
  target: "http",
  fields: { duration_ms: 12 },
};

interface Sent {
  readonly message: string;
  readonly timestamp: string;
  readonly fields: Record<string, unknown>;
  readonly [key: string]: unknown;
}

function sent(changes: object): Sent {
  const normalized = normalizeEvent({ ...GOOD, ...changes });
  assert("json" in normalized, JSON.stringify(normalized));
  return JSON.parse(normalized.json) as Sent;
}

const field = (value: unknown) => sent({ fields: { value } }).fields["value"];

function refused(event: unknown): string {
  const normalized = normalizeEvent(event);
  assert("refused" in normalized, JSON.stringify(normalized).slice(0, 200));
  return normalized.refused;
}

describe("normalizeEvent", () => {
  it("does not change a valid event", () => {
    assert.deepEqual(sent({}), GOOD);
  });

  it("writes the time in UTC with milliseconds", () => {
    for (const timestamp of [
      "2026-01-31T12:00:00Z",
      "2026-01-31T14:00:00.0000+02:00",
      new Date(GOOD.timestamp),
    ]) {
      assert.equal(sent({ timestamp }).timestamp, GOOD.timestamp);
    }
  });

  it("refuses a time that is invalid or out of range", () => {
    const wrong = [
      "0000-01-01T00:00:00.000Z",
      "0001-01-01T00:00:00Z",
      "+010000-01-01T00:00:00.000Z",
      "2026-02-30T00:00:00Z",
      "yesterday",
      "",
      null,
      undefined,
      12,
      new Date(Number.NaN),
    ];
    for (const timestamp of wrong) {
      assert.match(
        refused({ ...GOOD, timestamp }),
        /^timestamp: .* is not a time/,
        String(timestamp),
      );
    }
  });

  it("names everything that is missing or wrong at once", () => {
    assert.equal(
      refused({ ...GOOD, message: null, level: "loud", service: "" }),
      'level: "loud" is not one of error, warn, info, debug, trace; message: null is not a text; ' +
        'service: "" is not a name',
    );
    for (const none of [null, undefined, 1, "event", [], true]) {
      assert.match(refused(none), /^is not an event but /);
    }
  });

  it("treats null as absent for optional fields", () => {
    const { environment, target, fields } = sent({ environment: null, target: null, fields: null });
    assert.deepEqual([environment, target, fields], ["", "", {}]);
    assert.equal(field(null), null);
  });

  it("repairs text that is not valid UTF-8", () => {
    assert.equal(sent({ message: "a\ud800b\udc00" }).message, "a\ufffdb\ufffd");
    assert.deepEqual(sent({ fields: { "k\ud800": "v\udfff" } }).fields, { "k\ufffd": "v\ufffd" });
    const bytes = Uint8Array.of(0x61, 0xff, 0x62);
    assert.equal(sent({ message: bytes }).message, "a\ufffdb");
    assert.equal(field(bytes), "a\ufffdb");
  });

  it("cuts a long message between characters, with a marker", () => {
    for (const character of ["a", "é", "€", "😀"]) {
      const { message } = sent({ message: character.repeat(1024 * 1024) });
      assert(Buffer.byteLength(message) <= 256 * 1024);
      assert(Buffer.byteLength(message) > 255 * 1024);
      const bytes = 1024 * 1024 * Buffer.byteLength(character);
      assert(message.endsWith(`… [cut: ${bytes} bytes]`), message.slice(-40));
      assert.equal(message.replace(/… \[cut: \d+ bytes\]$/, "").replaceAll(character, ""), "");
    }
  });

  it("converts values that JSON does not have", () => {
    const symbol = Symbol("s");
    assert.deepEqual(
      sent({
        fields: {
          big: 10n ** 30n,
          nan: Number.NaN,
          infinite: -Infinity,
          date: new Date(GOOD.timestamp),
          never: new Date(Number.NaN),
          error: new TypeError("no"),
          set: new Set([1]),
          map: new Map([["a", 1n]]),
          list: [undefined, symbol, 1],
          absent: undefined,
          act: () => 1,
          symbol,
        },
      }).fields,
      {
        big: `1${"0".repeat(30)}`,
        nan: "NaN",
        infinite: "-Infinity",
        date: GOOD.timestamp,
        never: "Invalid Date",
        error: { name: "TypeError", message: "no" },
        set: [1],
        map: { a: "1" },
        list: [null, null, 1],
      },
    );
  });

  it("stops at cycles, at the maximum depth, and at unreadable values", () => {
    const cycle: Record<string, unknown> = { a: 1 };
    cycle["self"] = { cycle };
    assert.deepEqual(field(cycle), { a: 1, self: { cycle: "[circular]" } });
    const twice = { a: 1 };
    assert.deepEqual(field([twice, twice]), [{ a: 1 }, { a: 1 }]);
    let deep: unknown = 1;
    for (let level = 0; level < 100_000; level += 1) deep = [deep];
    assert.match(JSON.stringify(field(deep)), /^\[+"\[too deep\]"\]+$/);
    const throwing = {
      get value() {
        throw new Error("no");
      },
    };
    assert.deepEqual(field(throwing), { value: "[unreadable]" });
    const hostile = new Proxy(GOOD, {
      get() {
        throw new Error("hands off");
      },
    });
    assert.equal(refused(hostile), "cannot be read: hands off");
  });

  it("cuts huge fields, with a marker", () => {
    const many = Array.from({ length: 1_000_000 }, () => "x".repeat(100));
    const cases = [
      { many },
      { long: "x".repeat(10_000_000) },
      Object.fromEntries(Object.entries(many)),
    ];
    for (const fields of cases) {
      const text = JSON.stringify(sent({ fields }));
      assert(text.length < 300 * 1024, `${text.length}`);
      assert.match(text, /\[cut/);
    }
  });

  it("turns any value into JSON of a bounded size, or names a reason", () => {
    const anything = fc.anything({
      withBigInt: true,
      withDate: true,
      withMap: true,
      withSet: true,
      withTypedArray: true,
      withSparseArray: true,
      withObjectString: true,
      withUnicodeString: true,
    } as object);
    const events = fc.record(
      {
        message: fc.oneof(fc.string({ unit: "binary" }), anything),
        level: fc.constantFrom("info", "error"),
        timestamp: fc.oneof(fc.date(), anything),
        service: fc.string(),
        environment: anything,
        target: anything,
        fields: anything,
      },
      { requiredKeys: ["message", "level", "timestamp", "service"] },
    );
    fc.assert(
      fc.property(fc.oneof(events, anything), (event) => {
        const normalized = normalizeEvent(event);
        if ("refused" in normalized) return normalized.refused.isWellFormed();
        const { timestamp, message, fields } = JSON.parse(normalized.json) as Sent;
        assert.match(timestamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
        assert(message.isWellFormed() && typeof fields === "object");
        return (
          normalized.json.isWellFormed() &&
          !/\\ud[89a-f]/i.test(normalized.json.replaceAll("\\\\", ""))
        );
      }),
    );
  });
});
