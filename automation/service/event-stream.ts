import { setTimeout as sleep } from "node:timers/promises";
import type { NumberedEvent, Operation } from "../../core/operation.ts";
import { eventView, operationView } from "./schemas/operation.ts";

export interface StreamOptions {
  readonly events: AsyncIterable<NumberedEvent>;
  /** The operation as it is when its events have ended. */
  readonly last: () => Promise<Operation | undefined>;
  /** In ms, between signs of life. */
  readonly heartbeat: number;
  /** Ends the stream with a hint to connect again: the service goes. */
  readonly leaving: AbortSignal;
}

/** In ms: how soon a client connects again. */
const RETRY = 1_000;

/**
 * Events as server-sent ones (https://html.spec.whatwg.org/multipage/server-sent-events.html): each
 * with its number as id, and at the end `event: end` with the operation. It takes the next event only
 * when the one before was read, so that it holds one at a time.
 */
export async function* eventStream(options: StreamOptions): AsyncGenerator<string> {
  const { events, last, heartbeat, leaving } = options;
  yield `retry: ${RETRY}\n\n`;
  const source = events[Symbol.asyncIterator]();
  let next = source.next();
  try {
    for (;;) {
      const result = await firstOf(next, heartbeat, leaving);
      if (leaving.aborted) {
        yield ": the service restarts; connect again\n\n";
        return;
      }
      if (result === undefined) {
        yield ":\n\n";
        continue;
      }
      if (result.done) break;
      const { number, event } = result.value;
      yield frame(event.event, eventView(result.value), number);
      next = source.next();
    }
    const operation = await last();
    if (operation) yield frame("end", operationView(operation));
  } finally {
    next.catch(() => undefined);
    await source.return?.();
  }
}

/** Undefined where there was nothing for so long, or the service goes. */
async function firstOf<T>(next: Promise<T>, ms: number, leaving: AbortSignal) {
  const waited = new AbortController();
  const signal = AbortSignal.any([waited.signal, leaving]);
  const nothing = sleep(ms, undefined, { signal }).catch(() => undefined);
  try {
    return await Promise.race([next, nothing]);
  } finally {
    waited.abort();
  }
}

/** JSON has no line break outside of its texts, and none unescaped inside. */
function frame(type: string, data: object, id?: number): string {
  return `${id === undefined ? "" : `id: ${id}\n`}event: ${type}\ndata: ${JSON.stringify(data)}\n\n`;
}
