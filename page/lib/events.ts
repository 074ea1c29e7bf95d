import { createParser } from "eventsource-parser";
import { ApiError, type Query, send } from "./api.ts";

/** One event of a stream. */
export interface StreamEvent {
  readonly type: string;
  readonly data: string;
  readonly id: string;
}

export interface StreamOptions {
  readonly query?: Query;
  /** Default: from the beginning. */
  readonly lastEventId?: string | undefined;
  readonly onEvent: (event: StreamEvent) => void;
  /** Called with false while the connection is lost. */
  readonly onConnected?: (isConnected: boolean) => void;
  readonly signal: AbortSignal;
}

const FIRST_WAIT_MS = 500;
const MAX_WAIT_MS = 5_000;

/**
 * Reads a stream of server-sent events until the signal is aborted. After a lost connection it continues
 * after the last id. Rejects with an ApiError that another attempt cannot help. EventSource is not used,
 * because it sends no `authorization`.
 */
export async function readEvents(
  path: string,
  { query = {}, lastEventId = "", onEvent, onConnected = () => undefined, signal }: StreamOptions,
): Promise<void> {
  let id = lastEventId;
  let wait = FIRST_WAIT_MS;
  const parser = createParser({
    onEvent(event) {
      id = event.id ?? id;
      wait = FIRST_WAIT_MS;
      onEvent({ type: event.event ?? "message", data: event.data, id });
    },
  });
  while (!signal.aborted) {
    try {
      const headers = { accept: "text/event-stream", ...(id !== "" && { "last-event-id": id }) };
      const answer = await send("GET", path, { query, headers, signal });
      onConnected(true);
      const reader = answer.body?.pipeThrough(new TextDecoderStream()).getReader();
      for (;;) {
        const part = await reader?.read();
        if (!part || part.done) break;
        parser.feed(part.value);
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof ApiError && error.status > 0 && !isTransient(error.status)) throw error;
    }
    parser.reset(); // an event that was cut off
    onConnected(false);
    await pause(wait, signal);
    wait = Math.min(wait * 2, MAX_WAIT_MS);
  }
}

function isTransient(status: number): boolean {
  return status === 408 || status === 429 || status >= 500;
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener(
      "abort",
      () => {
        clearTimeout(timer);
        resolve();
      },
      { once: true },
    );
  });
}
