import type { Compare, Cpl, Equals } from "./cpl/ast.ts";
import { spanMs } from "../../core/units.ts";
import type { Value } from "./database.ts";
import { leafOf } from "./leaves.ts";

/** A piece of SQL, its values bound apart from it. */
export interface Sql {
  readonly sql: string;
  readonly values: readonly Value[];
}

/** A field's number; undefined where no event has it. */
export type FieldNumber = (name: string) => number | undefined;

const NOTHING: Sql = { sql: "FALSE", values: [] };

/**
 * A condition on a row `h (tenant, time, event)`, which is an event's. `now`: ms since 1970; `held`: a
 * term that holds for every such row.
 */
export function condition(cpl: Cpl, numberOf: FieldNumber, now: number, held?: Cpl): Sql {
  if (cpl === held) return { sql: "TRUE", values: [] };
  switch (cpl.kind) {
    case "and":
    case "or": {
      const parts = cpl.terms.map((term) => condition(term, numberOf, now, held));
      const word = cpl.kind === "and" ? " AND " : " OR ";
      return {
        sql: `(${parts.map(({ sql }) => sql).join(word)})`,
        values: parts.flatMap(({ values }) => values),
      };
    }
    case "not": {
      const { sql, values } = condition(cpl.term, numberOf, now, held);
      // What is unknown does not match; so its contrary does.
      return { sql: `NOT coalesce(${sql}, FALSE)`, values };
    }
    case "word": {
      const text = cpl.text.toLowerCase();
      // lower(), being native, is many times quicker; on ASCII words both agree.
      const lower = /^[\0-\x7f]*$/.test(text) ? "lower" : "lower_case";
      return { sql: `instr(${lower}(${ofEvent("message")}), ?) > 0`, values: [text] };
    }
    case "time":
      return { sql: "h.time >= ?", values: [now - (spanMs(cpl.range) ?? 0)] };
    case "equals":
      return equals(cpl, numberOf);
    case "compare":
      return compare(cpl, numberOf);
  }
}

function equals({ field, value }: Equals, numberOf: FieldNumber): Sql {
  if (field === "message") return { sql: `${ofEvent("message")} = ?`, values: [value] };
  if (field === "timestamp") return { sql: "h.time = ?", values: [Date.parse(value)] };
  const number = numberOf(field);
  if (number === undefined) return NOTHING;
  return {
    sql: `EXISTS (SELECT 1 FROM leaves l WHERE l.tenant = h.tenant AND l.field = ? AND l.value = ?
      AND l.time = h.time AND l.event = h.event)`,
    values: [number, leafOf(value, field)],
  };
}

function compare({ field, operator, value }: Compare, numberOf: FieldNumber): Sql {
  if (field === "timestamp") return { sql: `h.time ${operator} ?`, values: [value] };
  const number = numberOf(field);
  if (number === undefined) return NOTHING;
  const leaf = ofEvent(`json_extract(leaves, '$."${number}"')`);
  // Texts sort after all numbers.
  return { sql: `(${leaf} ${operator} ? AND ${leaf} < '')`, values: [value] };
}

function ofEvent(expression: string): string {
  return `(SELECT ${expression} FROM events WHERE id = h.event)`;
}

/** A range of the index on leaves. */
export interface Range {
  readonly field: number;
  /** About `value`. */
  readonly bounds: Sql;
}

/** Ranges that hold everything that matches, between them. */
export interface Way {
  readonly ranges: readonly Range[];
  /** The term, if there is one, that matches all that they hold. */
  readonly held?: Cpl;
}

/** Ways to find the events of a query by index. Empty where only a look at every event tells. */
export function ways(cpl: Cpl, numberOf: FieldNumber): Way[] {
  switch (cpl.kind) {
    case "and":
      return cpl.terms.flatMap((term) => ways(term, numberOf));
    case "or": {
      const each = cpl.terms.map((term) => ways(term, numberOf)[0]);
      const all = each.filter((way) => way !== undefined);
      return all.length === each.length ? [{ ranges: all.flatMap(({ ranges }) => ranges) }] : [];
    }
    case "equals":
    case "compare":
      return waysOf(cpl, numberOf);
    case "not":
    case "word":
    case "time":
      return [];
  }
}

function waysOf(term: Equals | Compare, numberOf: FieldNumber): Way[] {
  const { field } = term;
  if (field === "message" || field === "timestamp") return [];
  const number = numberOf(field);
  if (number === undefined) return [{ ranges: [] }];
  const bounds: Sql =
    term.kind === "equals"
      ? { sql: "value = ?", values: [leafOf(term.value, field)] }
      : { sql: `value ${term.operator} ? AND value < ''`, values: [term.value] };
  return [{ ranges: [{ field: number, bounds }], held: term }];
}
