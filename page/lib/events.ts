import { createParser } from "eventsource-parser";
import { ApiError, type Query, send } from "./api.ts";

/** One event of a stream. */
export interface StreamEvent {
  readonly type: string;
  readonly data: string;
}

export interface StreamOptions {
  readonly query?: Query;
  /** Default: from the beginning. */
  readonly lastEventId?: string | undefined;
  /** Called with the events that arrive together. */
  readonly onEvents: (events: readonly StreamEvent[]) => void;
  /** Called with false while the connection is lost. */
  readonly onConnected: (isConnected: boolean) => void;
  readonly signal: AbortSignal;
}

/** In ms. The service writes at least every 15 s. */
const SILENCE = 40_000;
/** In ms: a tab that was hidden connects again if its last byte is older than this. */
const STALE = 20_000;
const FIRST_WAIT_MS = 500;
const MAX_WAIT_MS = 10_000;

/**
 * Reads a stream of server-sent events until its event `end`, or until the signal is aborted. It connects
 * again after a lost connection, a restart of the service or a sleep of this machine, and continues after
 * the last id. Rejects with an ApiError that a retry cannot help. EventSource is not used, because it
 * cannot send an API key.
 */
export async function readEvents(
  path: string,
  { query = {}, lastEventId = "", onEvents, onConnected, signal }: StreamOptions,
): Promise<void> {
  let id = lastEventId;
  let wait = FIRST_WAIT_MS;
  while (!signal.aborted) {
    const connection = new Watch(signal);
    try {
      const headers = { accept: "text/event-stream", ...(id !== "" && { "last-event-id": id }) };
      const answer = await send("GET", path, { query, headers, signal: connection.signal });
      onConnected(true);
      let events: StreamEvent[] = [];
      const parser = createParser({
        onEvent({ event = "message", data, id: next = id }) {
          id = next;
          events.push({ type: event, data });
        },
      });
      for await (const text of textsOf(answer)) {
        connection.heard();
        parser.feed(text);
        if (events.length === 0) continue;
        if (signal.aborted) return;
        wait = FIRST_WAIT_MS;
        onEvents(events);
        if (events.some(({ type }) => type === "end")) return;
        events = [];
      }
    } catch (error) {
      if (!signal.aborted && isFinal(error)) throw error;
    } finally {
      connection.close();
    }
    if (signal.aborted) return;
    onConnected(false);
    await pause(wait, signal);
    wait = Math.min(wait * 2, MAX_WAIT_MS);
  }
}

async function* textsOf({ body }: Response): AsyncGenerator<string> {
  if (!body) return;
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

/** True if the request is wrong, and not the connection. */
function isFinal(error: unknown): boolean {
  if (!(error instanceof ApiError)) return false;
  const { status } = error;
  return status >= 400 && status < 500 && status !== 408 && status !== 429;
}

/** Ends a connection that says nothing any more, for example after a sleep of this machine. */
class Watch {
  readonly #silent = new AbortController();
  readonly signal: AbortSignal;
  readonly #timer: ReturnType<typeof setInterval>;
  #heardAt = Date.now();

  constructor(stop: AbortSignal) {
    this.signal = AbortSignal.any([stop, this.#silent.signal]);
    this.#timer = setInterval(() => this.#require(SILENCE), SILENCE / 4);
    addEventListener("online", this.#recheck);
    document.addEventListener("visibilitychange", this.#recheck);
  }

  heard(): void {
    this.#heardAt = Date.now();
  }

  close(): void {
    clearInterval(this.#timer);
    removeEventListener("online", this.#recheck);
    document.removeEventListener("visibilitychange", this.#recheck);
    this.#silent.abort();
  }

  readonly #recheck = (): void => this.#require(STALE);

  #require(ms: number): void {
    if (Date.now() - this.#heardAt > ms) this.#silent.abort();
  }
}

/** Resolves after so many ms, at once when the network is back, or when it is stopped. */
function pause(ms: number, stop: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      removeEventListener("online", end);
      stop.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    addEventListener("online", end);
    stop.addEventListener("abort", end);
  });
}
