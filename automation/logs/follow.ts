import { setTimeout as sleep } from "node:timers/promises";
import { isTemporary } from "../../core/errors.ts";
import type { Citadel, Entry, QueryOptions, Scope } from "../../providers/citadel/port.ts";
import { MAX_LIMIT } from "./time-span.ts";

export interface FollowOptions extends Pick<QueryOptions, "range" | "limit"> {
  readonly signal: AbortSignal;
  /** Continues after the line with this id, as a client that lost its connection does. */
  readonly lastEventId?: string | undefined;
  /** In ms, before the first reconnect; doubles up to 5 s. Default: 500. */
  readonly firstWait?: number;
}

/** A text for the person who waits: the connection is lost, or lines may be missing. */
export interface Note {
  readonly note: string;
}

const MAX_WAIT = 5000;
/** In ms. A line can arrive some time after its timestamp. */
const LATE_LINES = 5 * 60_000;
const REMEMBERED_IDS = 20_000;

/**
 * Yields the lines that match, oldest first, and then new ones, each once, with notes in between. After a
 * lost connection it reopens the live tail after the last id and queries for the lines in between; duplicates are
 * recognized by id. The tail is always opened before the query, so no line is missed between the two.
 * Rejects if a reconnect cannot help.
 */
export async function* follow(
  citadel: Pick<Citadel, "query" | "tail">,
  scope: Scope,
  cpl: string,
  { range = "1h", limit = 100, signal, lastEventId: resumed, firstWait = 500 }: FollowOptions,
): AsyncGenerator<Entry | Note> {
  const seen = new RecentIds(REMEMBERED_IDS);
  let lastEventId = resumed;
  /** The first query had more lines than `limit`: lines before this timestamp are left out on purpose. */
  let oldest: string | undefined;
  /** On the monotonic clock: when the tail last worked. Undefined before the first connection. */
  let connectedAt: number | undefined;
  let wait = firstWait;

  while (!signal.aborted) {
    const connection = new AbortController();
    try {
      const tail = await citadel.tail(scope, cpl, {
        signal: AbortSignal.any([signal, connection.signal]),
        ...(lastEventId !== undefined && { lastEventId }),
      });
      const isFirst = connectedAt === undefined;
      const query =
        connectedAt === undefined
          ? { range, limit: resumed === undefined ? limit : MAX_LIMIT }
          : { range: rangeSince(connectedAt), limit: MAX_LIMIT };
      const { entries, total } = await citadel.query(scope, cpl, query);
      connectedAt = performance.now();
      const known = isFirst ? entries.findIndex(({ id }) => id === resumed) : -1;
      if (known >= 0) for (const { id } of entries.slice(known)) seen.add(id);
      if (isFirst && resumed === undefined && total > entries.length) {
        oldest = entries.at(-1)?.timestamp;
      }
      const isResumed = !isFirst || resumed !== undefined;
      if (isResumed && total > entries.length && !entries.some(({ id }) => seen.has(id))) {
        yield { note: `More than ${entries.length} lines arrived meanwhile; some may be missing.` };
      }
      for (const entry of entries.toReversed()) {
        const isLeftOut = oldest !== undefined && entry.timestamp < oldest;
        if (isLeftOut || !seen.add(entry.id)) continue;
        lastEventId = entry.id;
        yield entry;
      }
      for await (const entry of tail) {
        connectedAt = performance.now();
        wait = firstWait;
        lastEventId = entry.id;
        if (seen.add(entry.id)) yield entry;
      }
      if (!signal.aborted) yield { note: "Citadel ended the live tail; connecting again." };
    } catch (error) {
      if (signal.aborted) return;
      if (!isTemporary(error)) throw error;
      yield { note: `${error.message} Trying again.` };
      wait = Math.max(wait, error.retryAfter ?? 0);
    } finally {
      connection.abort();
    }
    await sleep(wait, undefined, { signal }).catch(() => undefined);
    wait = Math.min(wait * 2, MAX_WAIT);
  }
}

/** A query range that includes the lines that arrived late. */
function rangeSince(time: number): string {
  return `${Math.ceil((performance.now() - time + LATE_LINES) / 60_000)}m`;
}

/** The ids of the last lines, which bounds memory in a stream without an end. */
class RecentIds {
  readonly #capacity: number;
  readonly #ids = new Set<string>();

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  has(id: string): boolean {
    return this.#ids.has(id);
  }

  /** True if the id is new. */
  add(id: string): boolean {
    if (this.#ids.has(id)) return false;
    this.#ids.add(id);
    if (this.#ids.size > this.#capacity) {
      const [oldest] = this.#ids; // a Set iterates in insertion order
      this.#ids.delete(oldest!);
    }
    return true;
  }
}
