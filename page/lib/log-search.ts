import type { Query } from "./api.ts";
import { queryText } from "./api.ts";

/** The search of the view of logs. The address has all of it, so that it can be shared. */
export interface LogSearch {
  /** In CPL; `*` finds every line. */
  readonly q: string;
  readonly range: string;
  /** Absolute times take precedence over the range. */
  readonly from: string | undefined;
  readonly before: string | undefined;
  readonly isLive: boolean;
}

export const RANGES = ["15m", "1h", "6h", "24h", "7d"] as const;
const DEFAULT_RANGE = "1h";

export function searchOf(query: URLSearchParams): LogSearch {
  const from = query.get("from") ?? undefined;
  const before = query.get("before") ?? undefined;
  return {
    q: query.get("q")?.trim() || "*",
    range: query.get("range") ?? DEFAULT_RANGE,
    from,
    before,
    // New lines are after a time that has ended.
    isLive: query.get("live") === "1" && from === undefined && before === undefined,
  };
}

/** The address of a search, without what is the default. */
export function logAddress(slug: string, search: Partial<LogSearch>): string {
  const { q, range, from, before, isLive } = search;
  const isFixed = from !== undefined || before !== undefined;
  return `/logs/${slug}${queryText({
    q: q === "*" ? undefined : q,
    range: isFixed || range === DEFAULT_RANGE ? undefined : range,
    from,
    before,
    live: isLive && !isFixed ? 1 : undefined,
  })}`;
}

/** The parameters of the API. */
export function apiQuery({ q, range, from, before }: LogSearch): Query {
  return { q, from, before, ...(from === undefined && { range }) };
}

const FIELD = /^[A-Za-z_@][\w.@/-]*$/;

/** The query that also requires a field to have this value. */
export function narrowed(q: string, field: string, value: unknown): string {
  const name = FIELD.test(field) ? field : JSON.stringify(field);
  const text = typeof value === "string" ? value : JSON.stringify(value);
  const term = `${name}:${/^[^\s()"<>]+$/.test(text) ? text : JSON.stringify(text)}`;
  return q === "*" ? term : `(${q}) ${term}`;
}
