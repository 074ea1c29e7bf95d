/** A mistake in a CPL query, and where. */
export class CplError extends Error {
  /** The column of the offending text: UTF-16 units from 0. */
  readonly position: number;
  /** The offending text; "" is the query's end. */
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

const SHOWN = 40; // characters of the offending text
