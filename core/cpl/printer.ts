import type { Cpl, Term } from "./ast.ts";
import { FIELD } from "./lexer.ts";

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

/** A query of this tree: `parse(print(tree))` is the tree again. */
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

/** In parentheses where it binds less than what it stands in. */
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
