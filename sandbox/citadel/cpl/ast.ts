/**
 * CPL, Citadel's query language, as a tree. What each term means:
 *
 * - `field:value`: the field is equal to the value; case counts, and there are no wildcards. The
 *   event's own fields are `level`, `service`, `environment`, `target`, `message` and `timestamp`;
 *   every other one is looked up in the event's `fields`, where `a.b` also finds `{a: {b: …}}`.
 *   Numbers and booleans are equal to their text: `attempt:2`, `dry:true`. An event without the field
 *   does not match.
 * - `field:>5000` (`>=`, `<`, `<=`): the field is a number, or the text of one, and compares so. A
 *   field that is neither does not match. `timestamp` compares with RFC 3339 times.
 * - `time:1h`: the event is not older than that (`s`, `m`, `h`, `d`).
 * - a bare word, or a quoted text: the message contains it; case does not count.
 * - `NOT`, `AND`, `OR` in capitals, binding in this order; terms side by side mean AND; parentheses.
 * - Quotes (`"…"`) around a value, a word or a field's name take every character, with the escapes
 *   `\"`, `\\`, `\n`, `\r` and `\t`.
 */
export type Cpl = Term | Not | Junction;

export type Term = Word | Equals | Compare | Time;

export interface Word {
  readonly kind: "word";
  /** Not empty. */
  readonly text: string;
}

export interface Equals {
  readonly kind: "equals";
  /** Not empty. */
  readonly field: string;
  readonly value: string;
}

export type Operator = ">" | ">=" | "<" | "<=";

export interface Compare {
  readonly kind: "compare";
  /** Not empty. */
  readonly field: string;
  readonly operator: Operator;
  /** Finite. Of `timestamp`: ms since 1970. */
  readonly value: number;
}

export interface Time {
  readonly kind: "time";
  /** As it was written: `1h`. */
  readonly range: string;
}

export interface Not {
  readonly kind: "not";
  readonly term: Cpl;
}

/** All of the terms, or any of them. */
export interface Junction {
  readonly kind: "and" | "or";
  /** Two or more. */
  readonly terms: readonly Cpl[];
}
