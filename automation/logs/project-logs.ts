import { InfraError } from "../../core/errors.ts";
import type { Citadel, Entry, QueryResult } from "../../providers/citadel/port.ts";
import { follow, type FollowOptions, type Note } from "./follow.ts";
import { type Histogram, histogram } from "./histogram.ts";
import { queryOf } from "./logs.ts";
import { MAX_LIMIT, rangeFrom, type TimeSpan } from "./time-span.ts";

/** The place of a line in the order of a page. */
export interface LinePosition {
  readonly timestamp: string;
  readonly id: string;
}

export interface LogPage {
  /** Newest first. */
  readonly entries: readonly Entry[];
  /** The lines that match, from the first of the page on. */
  readonly total: number;
}

/** The lines of a download. More would take Citadel too many queries. */
export const MAX_DOWNLOAD = 100_000;
/** A part of a download that is expected to have so many lines usually takes one query. */
const LINES_PER_PART = 250;

/** The logs of environments in Citadel, for the API. Queries are those of `searchLogs`. */
export class ProjectLogs {
  readonly #citadel: Pick<Citadel, "query" | "tail">;

  constructor(citadel: Pick<Citadel, "query" | "tail">) {
    this.#citadel = citadel;
  }

  /**
   * The lines after a position, newest first. If more than 500 lines have the timestamp of the position,
   * the others of them are left out, because Citadel has no order by which to find them.
   */
  async page(
    tenant: string,
    cpl: string,
    {
      from,
      before,
      limit,
      after,
    }: TimeSpan & { readonly limit: number; readonly after?: LinePosition | undefined },
  ): Promise<LogPage> {
    if (!after) return cut(await this.#query(tenant, cpl, { from, before }, limit), 0, limit);
    const time = Date.parse(after.timestamp);
    const until = (end: number) => new Date(Math.min(Number(before), end));
    // With the lines of the same millisecond: some of them may be after the position.
    const found = await this.#query(tenant, cpl, { from, before: until(time + 1) }, MAX_LIMIT);
    const at = found.entries.findIndex(({ id }) => id === after.id);
    const isBeyond = at < 0 || (at === found.entries.length - 1 && found.total > at + 1);
    if (!isBeyond) return cut(found, at + 1, limit);
    return cut(await this.#query(tenant, cpl, { from, before: until(time) }, limit), 0, limit);
  }

  async histogram(tenant: string, cpl: string, span: TimeSpan): Promise<Histogram> {
    return histogram(this.#citadel, { tenant }, queryOf(cpl), span);
  }

  /** See `follow`. */
  follow(tenant: string, cpl: string, options: FollowOptions): AsyncGenerator<Entry | Note> {
    return follow(this.#citadel, { tenant }, queryOf(cpl), options);
  }

  /**
   * All lines that match, oldest first. Rejects with RDEV_TOO_LARGE for more than 100,000 lines. Of more
   * than 500 lines in the same millisecond only 500 are found.
   */
  async download(tenant: string, cpl: string, span: TimeSpan): Promise<AsyncGenerator<Entry>> {
    const first = await this.#query(tenant, cpl, span, MAX_LIMIT);
    if (first.total > MAX_DOWNLOAD) {
      const text =
        `The query matches ${first.total} lines; a download has at most ${MAX_DOWNLOAD}. Choose a ` +
        "shorter time or a narrower query.";
      throw new InfraError("RDEV_TOO_LARGE", text);
    }
    return this.#oldestFirst(tenant, cpl, span, first);
  }

  /** Citadel returns the newest lines, so this divides the time until a query returns all of a part. */
  async *#oldestFirst(
    tenant: string,
    cpl: string,
    { from, before }: TimeSpan,
    { entries, total }: QueryResult,
  ): AsyncGenerator<Entry> {
    const ms = Number(before) - Number(from);
    const parts = Math.min(Math.ceil(total / LINES_PER_PART), ms);
    if (total <= entries.length || parts < 2) {
      yield* entries.toReversed();
      return;
    }
    const partMs = Math.ceil(ms / parts);
    for (let start = Number(from); start < Number(before); start += partMs) {
      const end = Math.min(start + partMs, Number(before));
      const part = { from: new Date(start), before: new Date(end) };
      const found = await this.#query(tenant, cpl, part, MAX_LIMIT);
      yield* this.#oldestFirst(tenant, cpl, part, found);
    }
  }

  #query(tenant: string, cpl: string, { from, before }: TimeSpan, limit: number) {
    const options = { range: rangeFrom(from), limit, from, before };
    return this.#citadel.query({ tenant }, queryOf(cpl), options);
  }
}

function cut({ entries, total }: QueryResult, start: number, limit: number): LogPage {
  return { entries: entries.slice(start, start + limit), total: total - start };
}
