import pLimit from "p-limit";
import {
  type Citadel,
  type Entry,
  type Level,
  LEVELS,
  type Scope,
} from "../../providers/citadel/port.ts";
import { MAX_LIMIT, rangeFrom, type TimeSpan } from "./time-span.ts";

/** The lines of one part of the time, by level. */
export type Bucket = { readonly at: Date } & Readonly<Record<Level, number>>;

export interface Histogram extends TimeSpan {
  readonly bucketMs: number;
  readonly buckets: readonly Bucket[];
}

export const BUCKETS = 30;
/** Queries at once, so that a histogram does not take all of Citadel. */
const CONCURRENCY = 5;

/**
 * Counts the lines that match, by time and level. Citadel counts no groups, but a query says how many
 * lines match. So this takes 1 query for up to 500 lines, 1 more a level, and 30 more for each level that
 * has more than 500 lines.
 */
export async function histogram(
  citadel: Pick<Citadel, "query">,
  scope: Scope,
  cpl: string,
  span: TimeSpan,
): Promise<Histogram> {
  const bucketMs = Math.max(1, Math.ceil((Number(span.before) - Number(span.from)) / BUCKETS));
  const starts = Array.from({ length: BUCKETS }, (_, at) => Number(span.from) + at * bucketMs);
  const limited = pLimit(CONCURRENCY);
  const ask = (query: string, from: Date, before: Date, limit: number) =>
    limited(() => citadel.query(scope, query, { range: rangeFrom(from), limit, from, before }));

  const countsOf = async (level: Level): Promise<readonly number[]> => {
    const query = `(${cpl}) level:${level}`;
    const found = await ask(query, span.from, span.before, MAX_LIMIT);
    if (found.total <= found.entries.length) return counted(found.entries);
    const answers = await Promise.all(
      starts.map((at) => ask(query, new Date(at), new Date(at + bucketMs), 1)),
    );
    return answers.map(({ total }) => total);
  };
  const counted = (entries: readonly Entry[]): readonly number[] => {
    const counts = starts.map(() => 0);
    for (const { timestamp } of entries) {
      const at = Math.floor((Date.parse(timestamp) - Number(span.from)) / bucketMs);
      if (counts[at] !== undefined) counts[at] += 1;
    }
    return counts;
  };

  // Also refuses a malformed query before it becomes a part of others.
  const all = await ask(cpl, span.from, span.before, MAX_LIMIT);
  const byLevel = await Promise.all(
    LEVELS.map(async (level) =>
      all.total <= all.entries.length
        ? counted(all.entries.filter((entry) => entry.level === level))
        : countsOf(level),
    ),
  );
  const [error = [], warn = [], info = [], debug = [], trace = []] = byLevel;
  const buckets = starts.map((start, at) => ({
    at: new Date(start),
    error: error[at] ?? 0,
    warn: warn[at] ?? 0,
    info: info[at] ?? 0,
    debug: debug[at] ?? 0,
    trace: trace[at] ?? 0,
  }));
  return { ...span, bucketMs, buckets };
}
