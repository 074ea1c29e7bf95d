import assert from "node:assert/strict";
import fc from "fast-check";
import type { Cpl } from "../../sandbox/citadel/cpl/ast.ts";
import { CplError } from "../../sandbox/citadel/cpl/lexer.ts";
import { MAX_DEPTH, MAX_LENGTH, MAX_TERMS, parse } from "../../sandbox/citadel/cpl/parser.ts";
import { cpl, print } from "../support/cpl.ts";

const word = (text: string): Cpl => ({ kind: "word", text });
const equals = (field: string, value: string): Cpl => ({ kind: "equals", field, value });
const and = (...terms: Cpl[]): Cpl => ({ kind: "and", terms });
const or = (...terms: Cpl[]): Cpl => ({ kind: "or", terms });
const not = (term: Cpl): Cpl => ({ kind: "not", term });
const compare = (field: string, operator: ">" | ">=" | "<" | "<=", value: number): Cpl => ({
  kind: "compare",
  field,
  operator,
  value,
});
const [a, b, c] = [word("a"), word("b"), word("c")];

describe("CPL", () => {
  const cases: [string, string, Cpl][] = [
    ["field:value", "level:error", equals("level", "error")],
    ["a dotted name and a value with colons", "a.b-c:x:y", equals("a.b-c", "x:y")],
    ["a label's name", "citadel.io/service:api", equals("citadel.io/service", "api")],
    ["greater", "duration_ms:>5000", compare("duration_ms", ">", 5000)],
    ["at least", "n:>=-1.5", compare("n", ">=", -1.5)],
    ["less", "n:<1e3", compare("n", "<", 1000)],
    ["at most, in quotes", 'n:<="7"', compare("n", "<=", 7)],
    [
      "a time compared",
      "timestamp:>2026-01-01T01:00:00+01:00",
      compare("timestamp", ">", Date.UTC(2026, 0, 1)),
    ],
    ["time:", "time:1h", { kind: "time", range: "1h" }],
    ["a bare word", "timeout", word("timeout")],
    [
      "words that begin like operators",
      "ANDY NOTE and",
      and(word("ANDY"), word("NOTE"), word("and")),
    ],
    ["a quoted text", '"connection refused"', word("connection refused")],
    ["a quoted operator", '"OR"', word("OR")],
    [
      "a quoted value with escapes",
      String.raw`m:"a \"b\" \\ \n\r\t (c)"`,
      equals("m", 'a "b" \\ \n\r\t (c)'),
    ],
    ["an empty quoted value", 'm:""', equals("m", "")],
    ["a quoted comparison sign", 'm:">5"', equals("m", ">5")],
    ["a quoted name", '"my field":x', equals("my field", "x")],
    ["terms side by side as AND", "a b AND c", and(a, b, c)],
    ["AND before OR", "a OR b c", or(a, and(b, c))],
    ["NOT before AND", "NOT a b", and(not(a), b)],
    ["NOT of NOT", "NOT NOT a", not(not(a))],
    ["parentheses", "NOT (a OR b) AND c", and(not(or(a, b)), c)],
    ["parentheses without spaces", "(a)(b)OR(c)", or(and(a, b), c)],
    ["nested parentheses", "((a))", a],
  ];
  for (const [what, query, tree] of cases) {
    it(`parses ${what}: ${query}`, () => assert.deepEqual(parse(query), tree));
  }

  const mistakes: [string, number, string, RegExp][] = [
    ["", 0, "", /a word, field:value, NOT or \(/],
    ["   ", 3, "", /a word/],
    ["level:", 6, "", /a value after `level:`/],
    ["level: error", 6, " ", /a value after `level:`/],
    ["n:>", 3, "", /a number after `n:>`/],
    ["a n:>slow", 5, "slow", /a number/],
    ["n:>0x10", 3, "0x10", /a number/],
    ["n:>1e999", 3, "1e999", /a number/],
    ["timestamp:<yesterday", 11, "yesterday", /a time like 2026/],
    ["timestamp:<0000-01-01T00:00:00+01:00", 11, "0000-01-01T00:00:00+01:00", /a time/],
    ["time:1y", 5, "1y", /30m, 1h or 7d/],
    ["time:>1h", 6, "1h", /30m, 1h or 7d/],
    ["(a", 2, "", /a "\)" for the "\(" at column 0/],
    ["a)", 1, ")", /AND, OR or another term/],
    ["()", 1, ")", /a word/],
    ["a OR", 4, "", /a word/],
    ["a OR OR b", 5, "OR", /a word/],
    ["AND a", 0, "AND", /a word/],
    ["a NOT", 5, "", /a word/],
    [":x", 0, ":x", /a field's name before the colon/],
    ["at 10:30", 3, "10:30", /in quotes/],
    ['m:"a', 2, '"a', /a closing quote/],
    ['"a\\', 0, '"a\\', /a closing quote/],
    [String.raw`"a\q"`, 2, String.raw`\q`, /escapes/],
    ['""', 0, '""', /text between the quotes/],
  ];
  for (const [query, position, found, expected] of mistakes) {
    it(`names the mistake in ${JSON.stringify(query)}`, () => {
      const error = mistake(query);
      assert.deepEqual([error.position, error.found], [position, found]);
      assert.match(error.expected, expected);
      assert.ok(error.message.endsWith(`at column ${position}`), error.message);
    });
  }

  it("limits length, depth and terms, so that the stack cannot overflow", () => {
    for (const query of ["(".repeat(100_000), "NOT ".repeat(100_000), "a ".repeat(100_000)]) {
      assert.equal(mistake(query).position, MAX_LENGTH);
    }
    const nested = (depth: number) => `${"(".repeat(depth)}a${")".repeat(depth)}`;
    assert.deepEqual(parse(nested(MAX_DEPTH)), a);
    assert.equal(mistake(nested(MAX_DEPTH + 1)).position, MAX_DEPTH);
    assert.equal(mistake(`${"NOT ".repeat(MAX_DEPTH + 1)}a`).position, 4 * MAX_DEPTH);
    // Terms side by side add no depth.
    assert.deepEqual(
      parse("(a) ".repeat(MAX_DEPTH + 1)),
      and(...Array<Cpl>(MAX_DEPTH + 1).fill(a)),
    );
    parse("a ".repeat(MAX_TERMS));
    assert.equal(mistake("a ".repeat(MAX_TERMS + 1)).position, 2 * MAX_TERMS);
  });

  it("shortens a long text in its message", () => {
    assert.ok(mistake(`n:>${"x".repeat(4000)}`).message.length < 120);
  });

  it("parses a printed tree to the same tree", () => {
    fc.assert(fc.property(cpl(fc.string({ minLength: 1, unit: "binary" })), sameAgain));
    // Most arbitrary strings need quotes. These are close to strings that need none.
    const nearly = fc.string({
      minLength: 1,
      unit: fc.constantFrom(...'aND OR:><="\\()\n\u00a0.-'),
    });
    fc.assert(fc.property(cpl(nearly), sameAgain), { numRuns: 500 });
  });

  it("parses any text, or throws an error whose column is inside it", () => {
    const text = fc.string({
      unit: fc.constantFrom(...'ab:>=<"\\() ', " AND ", " OR ", " NOT ", "time:1h"),
    });
    fc.assert(
      fc.property(text, (query) => {
        try {
          sameAgain(parse(query));
        } catch (error) {
          assert.ok(error instanceof CplError, String(error));
          assert.ok(error.position >= 0 && error.position <= query.length);
        }
      }),
      { numRuns: 1000 },
    );
  });
});

function sameAgain(tree: Cpl): void {
  assert.deepEqual(parse(print(tree)), tree);
}

function mistake(query: string): CplError {
  try {
    parse(query);
  } catch (error) {
    assert.ok(error instanceof CplError, String(error));
    return error;
  }
  throw new Error(`${query} was parsed`);
}
