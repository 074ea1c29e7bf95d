import { CitadelError } from "./errors.ts";
import type { Condition } from "./store.ts";

const COLUMNS = new Set(["level", "service", "message", "environment", "target", "timestamp"]);

const UNSUPPORTED: readonly { readonly what: string; readonly pattern: RegExp }[] = [
  { what: "quoted values", pattern: /["']/ },
  { what: "parentheses", pattern: /[()]/ },
  { what: "the operators AND, OR and NOT", pattern: /(?:^|\s)(?:AND|OR|NOT)(?=\s|$)/ },
  { what: "comparisons (>, >=, <, <=)", pattern: /:[<>]/ },
  { what: "time: (use the parameter range)", pattern: /(?:^|\s)time:/ },
];

const TERM = /^([A-Za-z_][\w.-]*):(\S+)$/;

/**
 * Terms `field:value`, all of which must match; the value must be equal. A field that is not the
 * event's own is looked up in its `fields`.
 * @throws CitadelError 400 for anything else of CPL, saying what is not supported here yet.
 */
export function parseCpl(text: string): Condition[] {
  const unsupported = UNSUPPORTED.find(({ pattern }) => pattern.test(text));
  if (unsupported) throw notSupported(unsupported.what, text);
  const terms = text.split(/\s+/).filter((term) => term !== "");
  if (terms.length === 0) throw new CitadelError(400, "q is empty: give it field:value");
  return terms.map((term) => {
    const [, field, value] = TERM.exec(term) ?? [];
    if (field === undefined || value === undefined) {
      if (term.includes(":")) throw new CitadelError(400, `"${term}" is not field:value`);
      throw notSupported(`a bare word ("${term}")`, text);
    }
    return condition(field, value);
  });
}

function condition(field: string, value: string): Condition {
  if (COLUMNS.has(field)) return { sql: `${field} = ?`, values: [value] };
  // As JSON text, so that 42 and true are found as well as "42" and "true".
  return {
    sql: "(fields -> ?) IN (?, ?)",
    values: [`$.${JSON.stringify(field)}`, JSON.stringify(value), value],
  };
}

function notSupported(what: string, text: string): CitadelError {
  return new CitadelError(400, `CPL "${text}": ${what} not supported here yet; use field:value`);
}
