import { setTimeout as sleep } from "node:timers/promises";
import { InfraError } from "../../core/errors.ts";
import type { NumberedEvent, Operation } from "../../core/operation.ts";
import { eventView, operationView } from "./schemas/operation.ts";

// Not @fastify/sse: its heartbeats ignore back pressure, so a client that reads nothing fills memory.

interface EventStreamOptions {
  readonly events: AsyncIterable<NumberedEvent>;
  /** Reads the operation once its events have ended. */
  readonly operation: () => Promise<Operation | undefined>;
  readonly heartbeatMs: number;
  /** Aborted on shutdown: the stream ends, and the client reconnects. */
  readonly shutdown: AbortSignal;
}

const RECONNECT_MS = 1_000;

/**
 * Yields server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html). Each has
 * its number as id; the last one is `event: end` with the operation. The next event is read only after
 * the client took the one before, so one event is in memory at a time.
 */
export async function* eventStream(options: EventStreamOptions): AsyncGenerator<string> {
  const { events, operation, heartbeatMs, shutdown } = options;
  yield `retry: ${RECONNECT_MS}\n\n`;
  const source = events[Symbol.asyncIterator]();
  let next = source.next();
  try {
    for (;;) {
      const result = await withHeartbeat(next, heartbeatMs, shutdown);
      if (shutdown.aborted) {
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
    const ended = await operation();
    if (ended) yield frame("end", operationView(ended));
  } finally {
    next.catch(() => undefined);
    await source.return?.();
  }
}

/** Undefined if `next` is still pending after `ms`, or on shutdown. */
async function withHeartbeat<T>(next: Promise<T>, ms: number, shutdown: AbortSignal) {
  const settled = new AbortController();
  const signal = AbortSignal.any([settled.signal, shutdown]);
  const heartbeat = sleep(ms, undefined, { signal }).catch(() => undefined);
  try {
    return await Promise.race([next, heartbeat]);
  } finally {
    settled.abort();
  }
}

/** JSON.stringify escapes line breaks, so the data is one line. */
function frame(type: string, data: object, id?: number): string {
  return `${id === undefined ? "" : `id: ${id}\n`}event: ${type}\ndata: ${JSON.stringify(data)}\n\n`;
}

/** Limits the streams that each caller has open, because each stream polls the database. */
export class StreamSlots {
  readonly #max: number;
  readonly #open = new Map<string, number>();

  constructor(max: number) {
    this.#max = max;
  }

  /** Returns the function that frees the slot; call it once. Throws RDEV_RATE_LIMITED. */
  acquire(caller: string): () => void {
    const open = this.#open.get(caller) ?? 0;
    if (open >= this.#max) {
      throw new InfraError(
        "RDEV_RATE_LIMITED",
        `The caller has ${open} streams open, which is the limit. End one of them first.`,
      );
    }
    this.#open.set(caller, open + 1);
    return () => {
      const rest = (this.#open.get(caller) ?? 1) - 1;
      if (rest > 0) this.#open.set(caller, rest);
      else this.#open.delete(caller);
    };
  }
}
