import { createParser } from "eventsource-parser";
import type {
  NumberedEventView,
  OperationView,
} from "../../automation/service/schemas/operation.ts";
import { type ApiError, send } from "./api.ts";

/** In ms. The service writes at least every 15 s. */
const SILENCE = 40_000;
/** In ms: a tab that was hidden connects again if its last byte is older than this. */
const STALE = 20_000;
const FIRST_WAIT = 500;
const MAX_WAIT = 10_000;

export type Connection = "connecting" | "open" | "lost";

export interface Follower {
  readonly onEvents: (events: readonly NumberedEventView[]) => void;
  readonly onEnd: (operation: OperationView) => void;
  readonly onConnection: (connection: Connection) => void;
}

/**
 * Streams an operation's events to its end, and connects again after a lost connection, a restart of
 * the service or a sleep of this machine. It continues after the last event that it has handed on, so
 * none is missing and none comes twice. Rejects with an ApiError if a retry cannot help.
 *
 * Not EventSource: it cannot send an API key.
 */
export async function followOperation(
  id: string,
  { onEvents, onEnd, onConnection }: Follower,
  stop: AbortSignal,
): Promise<void> {
  let last = 0;
  let wait = FIRST_WAIT;
  while (!stop.aborted) {
    const connection = new Watch(stop);
    try {
      const answer = await send("GET", `/v1/operations/${id}/events`, {
        headers: { accept: "text/event-stream", "last-event-id": String(last) },
        signal: connection.signal,
      });
      onConnection("open");
      let end: OperationView | undefined;
      let batch: NumberedEventView[] = [];
      const parser = createParser({
        onEvent({ event, data }) {
          if (event === "end") end = JSON.parse(data) as OperationView;
          else batch.push(JSON.parse(data) as NumberedEventView);
        },
      });
      for await (const text of textsOf(answer)) {
        connection.heard();
        parser.feed(text);
        const next = continued(batch, last);
        if (next.length > 0) {
          wait = FIRST_WAIT;
          last = next.at(-1)!.number;
          onEvents(next);
        }
        if (next.length < batch.length && batch.at(-1)!.number > last) break;
        batch = [];
        if (end) return onEnd(end);
      }
    } catch (error) {
      if (!stop.aborted && isFinal(error)) throw error;
    } finally {
      connection.close();
    }
    if (stop.aborted) return;
    onConnection("lost");
    await pause(wait, stop);
    wait = Math.min(wait * 2, MAX_WAIT);
    onConnection("connecting");
  }
}

/** The events that follow `last` without a gap. */
function continued(batch: readonly NumberedEventView[], last: number): NumberedEventView[] {
  const next: NumberedEventView[] = [];
  for (const event of batch) {
    if (event.number === last + next.length + 1) next.push(event);
  }
  return next;
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
  const { status = 0 } = error as Partial<ApiError>;
  return status >= 400 && status < 500 && status !== 429;
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

/** Resolves after so long, at once when the network is back, or when it is stopped. */
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
