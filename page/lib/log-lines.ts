import { useEffect, useRef, useState } from "preact/hooks";
import type { LogLine } from "../../automation/service/schemas/logs.ts";
import { ApiError, call } from "./api.ts";
import { readEvents } from "./events.ts";
import { apiQuery, type LogSearch } from "./log-search.ts";

/** The oldest lines are dropped beyond it. */
const MAX_LINES = 100_000;
const PAGE = 500;
/** New lines are shown together, however fast they come. A timer also runs in a hidden tab. */
const SHOW_EVERY_MS = 100;

interface LogPage {
  readonly items: readonly LogLine[];
  readonly next?: string;
  readonly total: number;
}

export interface LogLines {
  /** Oldest first. */
  readonly lines: readonly LogLine[];
  /** How many lines were added before the first ones, less those that were dropped there. */
  readonly added: number;
  /** The lines that match, as far as the service has counted them. */
  readonly total: number;
  readonly hasOlder: boolean;
  readonly isLoading: boolean;
  readonly error: ApiError | undefined;
  readonly tail: "off" | "connected" | "lost";
  /** What the service says about the tail. */
  readonly note: string | undefined;
  /** New lines that are not shown, because the tail is paused. */
  readonly waiting: number;
  readonly loadOlder: () => void;
}

/** The lines of one search in the page's memory. */
class Lines {
  lines: LogLine[] = [];
  added = 0;
  total = 0;
  next: string | undefined;
  isLoading = false;
  error: ApiError | undefined;
  tail: LogLines["tail"] = "off";
  note: string | undefined;
  arrived: LogLine[] = [];
  readonly #ids = new Set<string>();

  prepend({ items, next, total }: LogPage): void {
    const older = items.filter(({ id }) => this.#isNew(id)).toReversed();
    if (this.lines.length === 0) this.total = total;
    this.lines = [...older, ...this.lines];
    this.added += older.length;
    this.next = this.lines.length < MAX_LINES ? next : undefined;
  }

  arrive(line: LogLine): void {
    if (!this.#isNew(line.id)) return;
    this.arrived.push(line);
    if (this.arrived.length > MAX_LINES) this.#forget(this.arrived.shift());
  }

  /** Shows the lines that have arrived. */
  append(): void {
    if (this.arrived.length === 0) return;
    this.total += this.arrived.length;
    this.lines = [...this.lines, ...this.arrived];
    this.arrived = [];
    const excess = this.lines.length - MAX_LINES;
    if (excess <= 0) return;
    for (const line of this.lines.slice(0, excess)) this.#forget(line);
    this.lines = this.lines.slice(excess);
    this.added -= excess;
    this.next = undefined;
  }

  #isNew(id: string): boolean {
    const { size } = this.#ids;
    return this.#ids.add(id).size > size;
  }

  #forget(line: LogLine | undefined): void {
    if (line) this.#ids.delete(line.id);
  }
}

/** Loads the newest lines of a search, older ones on demand, and new ones while it is live. */
export function useLogLines(slug: string, search: LogSearch, isPaused: boolean): LogLines {
  const path = `/v1/projects/${slug}/logs`;
  const query = apiQuery(search);
  const state = useRef(new Lines());
  const stop = useRef(new AbortController());
  const paused = useRef(isPaused);
  const [, setRound] = useState(0);
  const draw = () => setRound((round) => round + 1);

  const load = async (cursor?: string): Promise<boolean> => {
    const { signal } = stop.current;
    const lines = state.current;
    lines.isLoading = true;
    draw();
    try {
      const page = await call<LogPage>("GET", path, {
        query: { ...query, limit: PAGE, cursor },
        signal,
      });
      if (signal.aborted) return false;
      lines.error = undefined;
      lines.prepend(page);
      return true;
    } catch (error) {
      if (!signal.aborted && error instanceof ApiError) lines.error = error;
      return false;
    } finally {
      lines.isLoading = false;
      if (!signal.aborted) draw();
    }
  };

  const tail = async () => {
    const { signal } = stop.current;
    const lines = state.current;
    const show = setInterval(() => {
      const before = lines.arrived.length;
      if (!paused.current) lines.append();
      if (before > 0) draw();
    }, SHOW_EVERY_MS);
    try {
      await readEvents(`${path}/tail`, {
        query: { q: search.q, range: search.range, limit: PAGE },
        lastEventId: lines.lines.at(-1)?.id,
        signal,
        onConnected(isConnected) {
          lines.tail = isConnected ? "connected" : "lost";
          draw();
        },
        onEvents(events) {
          for (const { type, data } of events) {
            if (type === "line") {
              lines.note = undefined;
              lines.arrive(JSON.parse(data) as LogLine);
            } else if (type === "note") {
              lines.note = (JSON.parse(data) as { readonly text: string }).text;
              draw();
            }
          }
        },
      });
    } catch (error) {
      lines.tail = "off";
      if (error instanceof ApiError) lines.error = error;
      draw();
    } finally {
      clearInterval(show);
    }
  };

  useEffect(() => {
    stop.current = new AbortController();
    state.current = new Lines();
    void load().then(async (isLoaded) => {
      if (isLoaded && search.isLive) await tail();
    });
    return () => stop.current.abort();
  }, [path, JSON.stringify(query), search.isLive]);

  useEffect(() => {
    paused.current = isPaused;
    if (!isPaused) {
      state.current.append();
      draw();
    }
  }, [isPaused]);

  const {
    lines,
    added,
    total,
    next,
    isLoading,
    error,
    tail: connection,
    note,
    arrived,
  } = state.current;
  return {
    ...{ lines, added, total, isLoading, error, note },
    tail: connection,
    hasOlder: next !== undefined,
    waiting: isPaused ? arrived.length : 0,
    loadOlder() {
      if (next !== undefined && !state.current.isLoading) void load(next);
    },
  };
}
