import fc from "fast-check";
import type { Cpl, Operator, Term } from "../../sandbox/citadel/cpl/ast.ts";
import { FIELD } from "../../sandbox/citadel/cpl/lexer.ts";

/** Records with the prototype of a literal, so that trees can be compared. */
const record = <T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }) =>
  fc.record(model, { noNullPrototype: true });

/** Any query within the limits. Its words, fields and values are made of `text`. */
export function cpl(
  text: fc.Arbitrary<string>,
  {
    field = text.filter((name) => name !== "time"),
    value = fc.oneof(text, fc.constant("")),
    number = fc.double({ noNaN: true, noDefaultInfinity: true }),
  }: {
    field?: fc.Arbitrary<string>;
    value?: fc.Arbitrary<string>;
    number?: fc.Arbitrary<number>;
  } = {},
): fc.Arbitrary<Cpl> {
  const range = fc.tuple(fc.integer({ min: 1, max: 999_999 }), fc.constantFrom("s", "m", "h", "d"));
  const { query } = fc.letrec<{ query: Cpl }>((tie) => ({
    query: fc.oneof(
      { maxDepth: 3 },
      record({ kind: fc.constant("word" as const), text }),
      record({ kind: fc.constant("equals" as const), field, value }),
      record({
        kind: fc.constant("compare" as const),
        field: field.filter((name) => name !== "timestamp"),
        operator: fc.constantFrom<Operator>(">", ">=", "<", "<="),
        // CPL has no negative zero.
        value: number.map((each) => each + 0),
      }),
      record({
        kind: fc.constant("time" as const),
        range: range.map((parts) => parts.join("")),
      }),
      record({ kind: fc.constant("not" as const), term: tie("query") }),
      record({
        kind: fc.constantFrom("and" as const, "or" as const),
        terms: fc.array(tie("query"), { minLength: 2, maxLength: 3 }),
      }),
    ),
  }));
  return query;
}

const OPERATORS: ReadonlySet<string> = new Set(["AND", "OR", "NOT"]);
const BARE_VALUE = /^[^\s()"<>][^\s()"]*$/;
const BARE_WORD = /^[^\s()":]+$/;
const ESCAPES: Readonly<Record<string, string>> = {
  '"': '\\"',
  "\\": "\\\\",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
};

/** The query of a tree: `parse(print(tree))` equals the tree. */
export function print(cpl: Cpl): string {
  switch (cpl.kind) {
    case "or":
      return cpl.terms
        .map((term) => (term.kind === "or" ? `(${print(term)})` : print(term)))
        .join(" OR ");
    case "and":
      return cpl.terms.map(operand).join(" ");
    case "not":
      return `NOT ${operand(cpl.term)}`;
    case "word":
    case "equals":
    case "compare":
    case "time":
      return printTerm(cpl);
  }
}

/** Adds parentheses if the operand binds less than its operator. */
function operand(cpl: Cpl): string {
  return cpl.kind === "and" || cpl.kind === "or" ? `(${print(cpl)})` : print(cpl);
}

function printTerm(term: Term): string {
  switch (term.kind) {
    case "word":
      return BARE_WORD.test(term.text) && !OPERATORS.has(term.text) ? term.text : quote(term.text);
    case "time":
      return `time:${term.range}`;
    case "equals":
      return `${field(term.field)}:${BARE_VALUE.test(term.value) ? term.value : quote(term.value)}`;
    case "compare": {
      const { operator, value } = term;
      const number = term.field === "timestamp" ? new Date(value).toISOString() : String(value);
      return `${field(term.field)}:${operator}${number}`;
    }
  }
}

function field(name: string): string {
  return FIELD.test(name) ? name : quote(name);
}

function quote(text: string): string {
  return `"${text.replace(/["\\\n\r\t]/g, (char) => ESCAPES[char] ?? char)}"`;
}
