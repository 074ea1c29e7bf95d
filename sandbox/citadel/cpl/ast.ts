/**
 * The syntax tree of CPL, Citadel's query language. The terms:
 *
 * - `field:value`: the field equals the value. Case matters, and there are no wildcards. The event's
 *   own fields are `level`, `service`, `environment`, `target`, `message` and `timestamp`. All others
 *   are in the event's `fields`, where `a.b` also finds `{a: {b: …}}`. Numbers and booleans equal their
 *   text: `attempt:2`, `dry:true`. An event without the field does not match.
 * - `field:>5000` (`>=`, `<`, `<=`): compares a field that is a number or the text of one. Any other
 *   field does not match. `timestamp` is compared with RFC 3339 times.
 * - `time:1h`: the event is not older than that (`s`, `m`, `h`, `d`).
 * - A bare word or a quoted text: the message contains it. Case does not matter.
 * - `NOT`, `AND` and `OR` in capitals bind in this order. Terms side by side mean AND. Parentheses
 *   group.
 * - A value, a word or a field's name in quotes (`"…"`) may contain any character, with the escapes
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
  /** Finite. For `timestamp`, ms since 1970. */
  readonly value: number;
}

export interface Time {
  readonly kind: "time";
  /** As in the query: `1h`. */
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
