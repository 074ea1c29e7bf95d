import type { Compare, Cpl, Equals } from "./cpl/ast.ts";
import { spanMs } from "../../core/units.ts";

export interface LogEvent {
  /** RFC 3339, milliseconds, Z. */
  readonly timestamp: string;
  readonly level: string;
  readonly service: string;
  readonly message: string;
  readonly environment: string | null;
  readonly target: string | null;
  readonly fields: Record<string, unknown>;
}

export interface StoredEvent extends LogEvent {
  readonly id: number;
  readonly tenant: string;
  /** The timestamp in ms since 1970. */
  readonly time: number;
}

export interface Search {
  /** The ids of the tenants whose logs are searched. */
  readonly tenants: ReadonlySet<string>;
  readonly cpl: Cpl;
  /** Ignores older events, in ms since 1970. @default no limit */
  readonly since?: number;
}

/** The logs of all tenants, in memory. A query reads every event: the sandbox holds thousands, not millions. */
export class Logs {
  /** In the order of arrival, which is the order of the ids. */
  #events: StoredEvent[] = [];
  #lastId = 0;
  readonly #listeners = new Set<() => void>();

  /** Calls the listener after every batch. Returns a function that removes it. */
  onAdded(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  add(tenant: string, events: readonly LogEvent[]): void {
    for (const event of events) {
      const time = Date.parse(event.timestamp);
      this.#events.push({ ...event, id: (this.#lastId += 1), tenant, time });
    }
    for (const listener of this.#listeners) listener();
  }

  has(id: string): boolean {
    return this.#events.some((event) => String(event.id) === id);
  }

  /** The id of the newest event, even if that was deleted. */
  get lastId(): number {
    return this.#lastId;
  }

  /** The matching events, newest first. */
  newest({ tenants, cpl, since = -Infinity }: Search): StoredEvent[] {
    const now = Date.now();
    return this.#events
      .filter((event) => tenants.has(event.tenant) && event.time >= since)
      .filter((event) => matches(cpl, event, now))
      .sort((a, b) => b.time - a.time || b.id - a.id);
  }

  /** The matching events that arrived after the event with this id, in the order of arrival. */
  after({ tenants, cpl }: Search, id: number): StoredEvent[] {
    const now = Date.now();
    return this.#events
      .slice(this.#events.findLastIndex((event) => event.id <= id) + 1)
      .filter((event) => tenants.has(event.tenant) && matches(cpl, event, now));
  }

  deleteAll(tenant: string): void {
    this.#events = this.#events.filter((event) => event.tenant !== tenant);
  }
}

/** The form of an event in the answers of query and tail. */
export function entryOf({ id, timestamp, level, service, message, ...rest }: StoredEvent) {
  const { environment, target, fields } = rest;
  const trace = fields["trace_id"];
  return {
    id: String(id),
    timestamp,
    level,
    service,
    message,
    trace_id: typeof trace === "string" ? trace : null,
    metadata: { environment, target, ...fields },
  };
}

/** Whether an event matches a query. `now` is in ms since 1970. */
function matches(cpl: Cpl, event: StoredEvent, now: number): boolean {
  switch (cpl.kind) {
    case "and":
      return cpl.terms.every((term) => matches(term, event, now));
    case "or":
      return cpl.terms.some((term) => matches(term, event, now));
    case "not":
      return !matches(cpl.term, event, now);
    case "word":
      return event.message.toLowerCase().includes(cpl.text.toLowerCase());
    case "time":
      return event.time >= now - (spanMs(cpl.range) ?? 0);
    case "equals":
      return equals(cpl, event);
    case "compare":
      return compare(cpl, event);
  }
}

function equals({ field, value }: Equals, event: StoredEvent): boolean {
  if (field === "timestamp") return event.time === Date.parse(value);
  const found = valueOf(field, event);
  return (
    found !== undefined && (typeof found === "string" ? found : JSON.stringify(found)) === value
  );
}

function compare({ field, operator, value }: Compare, event: StoredEvent): boolean {
  const found = field === "timestamp" ? event.time : numberIn(valueOf(field, event));
  switch (operator) {
    case ">":
      return found > value;
    case ">=":
      return found >= value;
    case "<":
      return found < value;
    case "<=":
      return found <= value;
  }
}

/** A number, or the text of a number; NaN, which no comparison matches, for anything else. */
function numberIn(value: unknown): number {
  if (typeof value === "number") return value;
  return typeof value === "string" && value.trim() !== "" ? Number(value) : NaN;
}

/** The event's own properties take precedence: a field of the same name is not found. */
function valueOf(field: string, event: StoredEvent): unknown {
  switch (field) {
    case "level":
    case "service":
    case "message":
      return event[field];
    case "environment":
    case "target":
      return event[field] ?? undefined;
    default:
      return valueIn(event.fields, field);
  }
}

/** The value of `a.b` in `{"a.b": …}` or `{a: {b: …}}`; undefined if there is none, or an object. */
function valueIn(fields: object, name: string): unknown {
  const own = new Map(Object.entries(fields));
  const value: unknown = own.get(name);
  if (value !== undefined && !isObject(value)) return value;
  for (let dot = name.indexOf("."); dot >= 0; dot = name.indexOf(".", dot + 1)) {
    const inner: unknown = own.get(name.slice(0, dot));
    const found = isObject(inner) ? valueIn(inner, name.slice(dot + 1)) : undefined;
    if (found !== undefined) return found;
  }
  return undefined;
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
