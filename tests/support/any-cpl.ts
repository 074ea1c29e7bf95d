import fc from "fast-check";
import type { Cpl, Operator } from "../../core/cpl/ast.ts";

/** With the prototype that a literal has, so that trees can be compared. */
const record = <T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }) =>
  fc.record(model, { noNullPrototype: true });

/** Any query within the limits. `text`: what its words, fields and values are made of. */
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
        // Zero has one sign in CPL.
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
