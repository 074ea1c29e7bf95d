import assert from "node:assert/strict";
import fc from "fast-check";
import { type LuaValue, startLua } from "./lua.ts";

const VARIABLES = { CITADEL_TENANT_ID: "11111111-1111-4111-8111-111111111111" };
const TAG = `kube.var.log.containers.web-7d4b_shop_app-${"0123456789abcdef".repeat(4)}.log`;
const RECORD = {
  stream: "stdout",
  kubernetes: { pod_id: "1", labels: {} },
  kubernetes_namespace: { name: "shop" },
};

/** Switches off plain.lua and the look at the whole line: json.lua reads each object, and each string is cleaned. */
const CAREFUL = `
require("plain").object = function() return nil end
require("text").isClean = function() return false end`;

/** Parts of JSON and of texts that the agent treats in a special way. */
const PARTS = [
  ...'{}[]:,"\\ \t\r\n\u0000\u0001\u007f0123456789-+.eE',
  ...["true", "false", "null", "level=info", "lvl=warn", "[error]", "<warn>", "ERROR", "panic: "],
  ...["\\n", '\\"', "\\u00e9", "\\u0001", "\\ud83d\\ude00", "\\ud800", "\\x", "é", "中", "😀"],
  ...["IOException", "TypeError: ", "I0301 10:15:30", "12.5", "9007199254740993", "1e400", "-0"],
].map((part) => Buffer.from(part));
const BROKEN = [[0x80], [0xc3], [0xe4, 0xb8], [0xed, 0xa0, 0x80], [0xf0, 0x9f], [0xff]].map(
  (bytes) => Buffer.from(bytes),
);

const NAMES = [
  "msg",
  "message",
  "level",
  "severity",
  "time",
  "ts",
  "logger",
  "k8s",
  "a",
  "a_2",
  "",
];
const name = fc.oneof(fc.constantFrom(...NAMES), fc.string({ unit: "binary", maxLength: 8 }));
const time = fc
  .tuple(
    fc.constantFrom("2026-03-01T10:15:30", "2026-03-01 10:15:30", "2026-02-30T10:15:30"),
    fc.constantFrom("", ".", ".1", ".123456789", ",42"),
    fc.constantFrom("Z", "z", "+02:00", "-0530", ""),
  )
  .map((parts) => parts.join(""));
const number = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true }).map(String),
  fc.double({ min: -1000, max: 1000, noNaN: true }).map(String), // up to 17 digits, and no exponent
  fc.bigInt({ min: -(2n ** 70n), max: 2n ** 70n }).map(String),
  fc.integer({ min: -100, max: 100 }).map(String),
  fc.constantFrom("-0", "0.10", "012", "1.", "-", "1e5", "1E+400", "1740824130123", "0.1e-7"),
);

/** JSON text, with names that occur twice, blanks, deep nesting, and numbers that no double can hold. */
const json = fc.letrec<{ value: string; object: string }>((tie) => ({
  object: fc
    .tuple(
      fc.array(fc.tuple(name, fc.constantFrom("", " ", "\t"), tie("value")), { maxLength: 5 }),
      fc.boolean(),
    )
    .map(([entries, twice]) => (twice ? [...entries, ...entries.slice(0, 1)] : entries))
    .map((entries) =>
      entries.map(([key, blank, value]) => JSON.stringify(key) + blank + ":" + blank + value),
    )
    .map((entries) => `{${entries.join(",")}}`),
  value: fc.oneof(
    { depthSize: "small" },
    fc
      .oneof(fc.string({ unit: "binary" }), time, fc.constantFrom("INFO", "warn", "DEBUG-4"))
      .map((text) => JSON.stringify(text)),
    number,
    fc.constantFrom("true", "false", "null", "nul"),
    fc.array(tie("value"), { maxLength: 4 }).map((values) => `[ ${values.join(" , ")} ]`),
    tie("object"),
    fc
      .integer({ min: 9, max: 14 })
      .map((depth) => "[".repeat(depth) + '"\\u0001"' + "]".repeat(depth)),
  ),
}));

const line = fc.oneof(
  { weight: 4, arbitrary: json.object.map((text) => Buffer.from(text)) },
  {
    weight: 1,
    arbitrary: fc
      .array(fc.constantFrom(...PARTS, ...BROKEN), { maxLength: 12 })
      .map((parts) => Buffer.concat(parts)),
  },
  {
    weight: 3,
    arbitrary: fc
      .tuple(json.object, fc.nat(), fc.nat({ max: 1 }), fc.constantFrom(...PARTS, ...BROKEN))
      .map(([text, at, removed, part]) => {
        const bytes = Buffer.from(text);
        const cut = at % (bytes.length + 1);
        return Buffer.concat([bytes.subarray(0, cut), part, bytes.subarray(cut + removed)]);
      }),
  },
);

describe("the fast path of a line", () => {
  const fast = startLua(VARIABLES);
  const careful = startLua(VARIABLES, { after: CAREFUL });
  const shaped = (run: typeof fast, log: LuaValue) =>
    run({ tag: TAG, time: Date.UTC(2026, 2, 1, 10, 15, 30, 7), record: { log, ...RECORD } });

  it("makes the same event as the careful one, of any line", () => {
    fc.assert(
      fc.property(line, (bytes) => {
        assert.deepEqual(shaped(fast, bytes), shaped(careful, bytes));
      }),
      { numRuns: 500 },
    );
  });

  it("is taken for what loggers write", () => {
    const never = startLua(VARIABLES, {
      after: 'require("json").object = function() error("slow") end',
    });
    for (const log of [
      '{"time":"2026-03-01T10:15:30.123Z","level":"INFO","msg":"request served","status":200,"took":12.5}',
      '{"level": 30, "time": 1772360130007, "pid": 1, "msg": "Straße \\"中\\"", "err": null, "tags": ["a", {}]}',
    ]) {
      assert.deepEqual(shaped(never, log), shaped(careful, log));
    }
  });

  it("reads a time and a level the same, whatever it read before", () => {
    const other = fc.tuple(time, fc.constantFrom("INFO", "info", "DEBUG-4", "debug", "weird"));
    fc.assert(
      fc.property(other, other, (first, second) => {
        const [before, own] = [first, second].map(([at, level]) =>
          JSON.stringify({ time: at, level }),
        );
        shaped(fast, before ?? "");
        assert.deepEqual(shaped(fast, own ?? ""), shaped(startLua(VARIABLES), own ?? ""));
      }),
      { numRuns: 15 },
    );
  });
});
