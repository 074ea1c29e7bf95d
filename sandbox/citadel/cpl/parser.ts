import type { Cpl } from "./ast.ts";
import { CplError, type Token, tokens } from "./lexer.ts";

/** The maximum number of characters of a query. */
export const MAX_LENGTH = 4096;
/** The maximum depth of nested parentheses and NOTs. */
export const MAX_DEPTH = 32;
/** The maximum number of terms of a query. */
export const MAX_TERMS = 256;

/** Parses a query; `ast.ts` describes the language. @throws CplError */
export function parse(source: string): Cpl {
  if (source.length > MAX_LENGTH) {
    const rest = source.slice(MAX_LENGTH);
    throw new CplError(MAX_LENGTH, rest, `a query of at most ${MAX_LENGTH} characters`);
  }
  const parser = new Parser(tokens(source));
  return parser.query();
}

class Parser {
  readonly #tokens: readonly Token[];
  #index = 0;
  #depth = 0;
  #terms = 0;

  constructor(all: readonly Token[]) {
    this.#tokens = all;
  }

  query(): Cpl {
    const found = this.#or();
    if (this.#token.kind !== "end") throw this.#expected("AND, OR or another term");
    return found;
  }

  #or(): Cpl {
    const terms = [this.#and()];
    while (this.#take("OR")) terms.push(this.#and());
    return join("or", terms);
  }

  #and(): Cpl {
    const terms = [this.#not()];
    while (this.#take("AND") || this.#startsTerm()) terms.push(this.#not());
    return join("and", terms);
  }

  #not(): Cpl {
    const token = this.#token;
    if (this.#take("NOT")) return this.#deeper(token, () => ({ kind: "not", term: this.#not() }));
    if (this.#take("(")) {
      return this.#deeper(token, () => {
        const inner = this.#or();
        if (!this.#take(")")) {
          throw this.#expected(`a ")" for the "(" at column ${token.position}`);
        }
        return inner;
      });
    }
    if (token.kind !== "term") throw this.#expected("a word, field:value, NOT or (");
    this.#terms += 1;
    if (this.#terms > MAX_TERMS) throw this.#expected(`at most ${MAX_TERMS} terms`);
    this.#index += 1;
    return token.term;
  }

  /** The parser is recursive, so the limit protects the stack. */
  #deeper(token: Token, read: () => Cpl): Cpl {
    this.#depth += 1;
    if (this.#depth > MAX_DEPTH) {
      throw new CplError(
        token.position,
        token.text,
        `at most ${MAX_DEPTH} parentheses and NOTs deep`,
      );
    }
    const found = read();
    this.#depth -= 1;
    return found;
  }

  #startsTerm(): boolean {
    const { kind } = this.#token;
    return kind === "term" || kind === "NOT" || kind === "(";
  }

  #take(kind: Token["kind"]): boolean {
    if (this.#token.kind !== kind) return false;
    this.#index += 1;
    return true;
  }

  /** The current token. The last one is `end`, which is never consumed. */
  get #token(): Token {
    return this.#tokens[this.#index] as Token;
  }

  #expected(what: string): CplError {
    const { position, text } = this.#token;
    return new CplError(position, text, what);
  }
}

function join(kind: "and" | "or", terms: readonly Cpl[]): Cpl {
  const [first] = terms;
  return terms.length === 1 && first ? first : { kind, terms };
}
