import { setTimeout as sleep } from "node:timers/promises";
import { type ErrorCode, InfraError } from "../../core/errors.ts";
import type { Citadel, Entry, QueryOptions, Scope } from "../../providers/citadel/port.ts";
import { Seen } from "./seen.ts";

export interface FollowOptions extends QueryOptions {
  readonly signal: AbortSignal;
  /** A word for the person who waits: the connection is gone, or lines may be missing. */
  readonly note: (text: string) => void;
  /** In ms, before the first try to connect again; doubles up to 5 s. Default: 500. */
  readonly firstWait?: number;
}

/** Waiting mends these. */
const PASSING = new Set<ErrorCode>(["RDEV_UNREACHABLE", "RDEV_DEADLINE", "RDEV_RATE_LIMITED"]);
const LONGEST_WAIT = 5000;
/** Citadel's own limit for a query. */
const MAX_LIMIT = 500;
/** In ms. What is sent some time after it happened has an older timestamp. */
const SLACK = 5 * 60_000;

/**
 * The lines that match, oldest first, then those that come, each once. After a lost connection it asks
 * the tail to go on after the last id, and the query for what came meanwhile: either is enough, and
 * what both give is known by its id. Every stream is open before the query, so that nothing falls
 * between. Rejects for what waiting does not mend.
 */
export async function* follow(
  citadel: Pick<Citadel, "query" | "tail">,
  scope: Scope,
  cpl: string,
  { range = "1h", limit = 100, signal, note, firstWait = 500 }: FollowOptions,
): AsyncGenerator<Entry> {
  const seen = new Seen(20_000);
  let lastEventId: string | undefined;
  /** Older lines were left out on purpose. */
  let oldest: string | undefined;
  /** By the clock that does not jump: when the stream was last known to be whole. */
  let alive: number | undefined;
  let wait = firstWait;

  while (!signal.aborted) {
    const connection = new AbortController();
    try {
      const stream = await citadel.tail(scope, cpl, {
        signal: AbortSignal.any([signal, connection.signal]),
        ...(lastEventId !== undefined && { lastEventId }),
      });
      const missed =
        alive === undefined ? { range, limit } : { range: since(alive), limit: MAX_LIMIT };
      const { entries, total } = await citadel.query(scope, cpl, missed);
      const first = alive === undefined;
      alive = performance.now();
      if (first && total > entries.length) oldest = entries.at(-1)?.timestamp;
      if (!first && total > entries.length && !entries.some(({ id }) => seen.has(id))) {
        note(`More than ${entries.length} lines came meanwhile; some may be missing.`);
      }
      for (const entry of entries.toReversed()) {
        const leftOut = oldest !== undefined && entry.timestamp < oldest;
        if (leftOut || !seen.add(entry.id)) continue;
        lastEventId = entry.id;
        yield entry;
      }
      for await (const entry of stream) {
        alive = performance.now();
        wait = firstWait;
        lastEventId = entry.id;
        if (seen.add(entry.id)) yield entry;
      }
      if (!signal.aborted) note("Citadel ended the live tail; connecting again.");
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof InfraError) || !PASSING.has(error.code)) throw error;
      note(`${error.message} Trying again.`);
      wait = Math.max(wait, error.retryAfter ?? 0);
    } finally {
      connection.abort();
    }
    await sleep(wait, undefined, { signal }).catch(() => undefined);
    wait = Math.min(wait * 2, LONGEST_WAIT);
  }
}

/** A range that begins some time before. */
function since(alive: number): string {
  return `${Math.ceil((performance.now() - alive + SLACK) / 60_000)}m`;
}
