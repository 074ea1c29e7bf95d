import type { Operator, Term } from "./ast.ts";
import { spanMs } from "../../../core/units.ts";

const SHOWN = 40; // characters of the offending text

/** A mistake in a CPL query, with its position. */
export class CplError extends Error {
  /** The column of the offending text: UTF-16 units from 0. */
  readonly position: number;
  /** The offending text; "" at the end of the query. */
  readonly found: string;
  readonly expected: string;

  constructor(position: number, found: string, expected: string) {
    const shown = found.length > SHOWN ? `${found.slice(0, SHOWN)}…` : found;
    const what = found === "" ? "the end of the query" : `\`${shown}\``;
    super(`expected ${expected}, found ${what} at column ${position}`);
    this.name = "CplError";
    this.position = position;
    this.found = shown;
    this.expected = expected;
  }
}

export type Token = {
  /** The text in the query; "" at the end. */
  readonly text: string;
  readonly position: number;
} & (
  | { readonly kind: "(" | ")" | "AND" | "OR" | "NOT" | "end" }
  | { readonly kind: "term"; readonly term: Term }
);

const BLANK = /\s*/y;
/** Text without quotes. */
const RUN = /[^\s()"]*/y;
const OPERATOR = /[<>]=?/y;
export const FIELD = /^[A-Za-z_@][\w.@/-]*$/;
const NUMBER = /^[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?$/;
/** RFC 3339. */
const TIMESTAMP = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)$/;
const ESCAPES: Readonly<Record<string, string>> = {
  '"': '"',
  "\\": "\\",
  n: "\n",
  r: "\r",
  t: "\t",
};

/** The tokens of a query; the last is `end`. @throws CplError */
export function tokens(source: string): Token[] {
  const found: Token[] = [];
  const lexer = new Lexer(source);
  for (;;) {
    const token = lexer.next();
    found.push(token);
    if (token.kind === "end") return found;
  }
}

class Lexer {
  readonly #source: string;
  #at = 0;

  constructor(source: string) {
    this.#source = source;
  }

  next(): Token {
    this.#match(BLANK);
    const position = this.#at;
    const char = this.#source[position];
    if (char === undefined) return { kind: "end", text: "", position };
    if (char === "(" || char === ")") {
      this.#at += 1;
      return { kind: char, text: char, position };
    }
    if (char === '"') {
      const text = this.#quoted();
      const named = this.#source[this.#at] === ":";
      if (text === "") throw new CplError(position, '""', "text between the quotes");
      if (named) this.#at += 1;
      return this.#term(position, named ? this.#value(text) : { kind: "word", text });
    }
    return this.#run(position);
  }

  #run(position: number): Token {
    const text = this.#match(RUN);
    if (text === "AND" || text === "OR" || text === "NOT") return { kind: text, text, position };
    const colon = text.indexOf(":");
    if (colon < 0) return this.#term(position, { kind: "word", text });
    const field = text.slice(0, colon);
    if (!FIELD.test(field)) {
      const expected = "a field's name before the colon (put a text that has a colon in quotes)";
      throw new CplError(position, text, expected);
    }
    this.#at = position + colon + 1;
    return this.#term(position, this.#value(field));
  }

  #term(position: number, term: Term): Token {
    return { kind: "term", text: this.#source.slice(position, this.#at), position, term };
  }

  /** The term of `field:` and the text after it. */
  #value(field: string): Term {
    const operator = this.#match(OPERATOR);
    const position = this.#at;
    const isQuoted = this.#source[position] === '"';
    const value = isQuoted ? this.#quoted() : this.#match(RUN);
    const nothing = !isQuoted && value === "";
    const fail = (expected: string) =>
      new CplError(
        position,
        this.#source.slice(position, nothing ? position + 1 : this.#at),
        expected,
      );
    if (field === "time") {
      if (operator || spanMs(value) === undefined) throw fail("a time like 30m, 1h or 7d");
      return { kind: "time", range: value };
    }
    if (operator) {
      const number =
        field === "timestamp" ? timestamp(value) : NUMBER.test(value) ? Number(value) : NaN;
      if (!Number.isFinite(number)) {
        const what = field === "timestamp" ? "a time like 2026-01-31T12:00:00Z" : "a number";
        throw fail(`${what} after \`${field}:${operator}\``);
      }
      // -0 becomes 0, which it equals.
      return { kind: "compare", field, operator: operator as Operator, value: number + 0 };
    }
    if (nothing) throw fail(`a value after \`${field}:\``);
    return { kind: "equals", field, value };
  }

  /** The text between quotes, with its escapes replaced. */
  #quoted(): string {
    const start = this.#at;
    let text = "";
    for (let at = start + 1; at < this.#source.length; at += 1) {
      const char = this.#source[at] as string;
      if (char === '"') {
        this.#at = at + 1;
        return text;
      }
      if (char !== "\\") {
        text += char;
        continue;
      }
      at += 1;
      const escaped = this.#source[at];
      if (escaped === undefined) break;
      const plain = ESCAPES[escaped];
      if (plain === undefined) {
        throw new CplError(at - 1, `\\${escaped}`, 'one of the escapes \\" \\\\ \\n \\r \\t');
      }
      text += plain;
    }
    throw new CplError(start, this.#source.slice(start), "a closing quote");
  }

  #match(pattern: RegExp): string {
    pattern.lastIndex = this.#at;
    const text = pattern.exec(this.#source)?.[0] ?? "";
    this.#at += text.length;
    return text;
  }
}

/** In ms; NaN for any other text, or if the year in UTC does not have four digits. */
function timestamp(text: string): number {
  const ms = TIMESTAMP.test(text) ? Date.parse(text) : NaN;
  return ms >= YEAR_0 && ms < YEAR_10000 ? ms : NaN;
}

const YEAR_0 = Date.parse("0000-01-01T00:00:00Z");
const YEAR_10000 = Date.parse("+010000-01-01T00:00:00Z");
