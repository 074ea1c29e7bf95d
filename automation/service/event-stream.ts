import { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import type { FastifyReply, FastifyRequest } from "fastify";
import { InfraError } from "../../core/errors.ts";
import { identityOf } from "./access.ts";
import type { ServiceLimits } from "./options.ts";

// Not @fastify/sse: its heartbeats ignore back pressure, so a client that reads nothing fills memory.

interface EventStreamOptions {
  readonly frames: AsyncIterable<string>;
  readonly heartbeatMs: number;
  /** Aborted on shutdown: the stream ends, and the client reconnects. */
  readonly shutdown: AbortSignal;
}

interface SendOptions {
  /** The frames until the signal is aborted, because the client is gone. */
  readonly frames: (signal: AbortSignal) => AsyncIterable<string>;
  readonly slots: StreamSlots;
  readonly limits: Pick<ServiceLimits, "heartbeatMs" | "idleStreamMs">;
  readonly shutdown: AbortSignal;
}

export const EVENT_STREAM = "text/event-stream";
const RECONNECT_MS = 1_000;

/** Answers with a stream of server-sent events. Throws RDEV_RATE_LIMITED if the caller has too many. */
export function sendEvents(
  request: FastifyRequest,
  reply: FastifyReply,
  { frames, slots, limits, shutdown }: SendOptions,
): FastifyReply {
  const releaseSlot = slots.acquire(identityOf(request).id);
  const disconnected = new AbortController();
  const signal = AbortSignal.any([disconnected.signal, shutdown]);
  const { heartbeatMs, idleStreamMs } = limits;
  const stream = Readable.from(eventStream({ frames: frames(signal), heartbeatMs, shutdown }));
  whenClosed(reply, () => {
    disconnected.abort();
    releaseSlot();
  });
  disconnectIdle(request, reply, idleStreamMs);
  reply.header("content-type", EVENT_STREAM).header("cache-control", "no-cache");
  reply.header("x-accel-buffering", "no").header("connection", "close");
  return reply.send(stream);
}

/**
 * Disconnects a client of a stream that reads nothing for `ms`: back pressure stops all writes to it, so
 * its socket becomes idle. The socket may be kept for other requests after the answer.
 */
export function disconnectIdle(
  { raw: { socket } }: FastifyRequest,
  reply: FastifyReply,
  ms: number,
): void {
  const disconnect = () => void socket.destroy();
  socket.setTimeout(ms, disconnect);
  whenClosed(reply, () => void socket.off("timeout", disconnect));
}

/** Runs `work` once the answer is complete or the client is gone, which may be the case already. */
export function whenClosed({ raw }: FastifyReply, work: () => void): void {
  if (raw.destroyed) work();
  else raw.once("close", work);
}

/**
 * Yields server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html). The next
 * frame is read only after the client took the one before, so one frame is in memory at a time.
 */
async function* eventStream(options: EventStreamOptions): AsyncGenerator<string> {
  const { frames, heartbeatMs, shutdown } = options;
  yield `retry: ${RECONNECT_MS}\n\n`;
  const source = frames[Symbol.asyncIterator]();
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
      if (result.done) return;
      yield result.value;
      next = source.next();
    }
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
export function frame(type: string, data: object, id?: number | string): string {
  return `${id === undefined ? "" : `id: ${id}\n`}event: ${type}\ndata: ${JSON.stringify(data)}\n\n`;
}

/** Limits the streams that each caller has open, because each stream polls a database or Citadel. */
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
