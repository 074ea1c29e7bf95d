import type { ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import type { FastifyInstance } from "fastify";

/** A fault that a stand-in injects into matching requests. */
export interface Fault {
  /** Both conditions must match. `path` is tested without the query. @default all requests */
  readonly match?: { readonly method?: string; readonly path?: RegExp };
  /** Answers with this status instead of the real answer. */
  readonly status?: number;
  readonly headers?: Record<string, string>;
  readonly body?: string;
  /** Resets the connection without an answer (ECONNRESET at the caller). */
  readonly reset?: boolean;
  /** Closes the connection after half of the answer, or after half of a stream's first chunk. */
  readonly truncate?: boolean;
  /** Waits first. Without `status` and `reset`, the real answer follows. */
  readonly delayMs?: number;
  /** The number of requests it applies to. @default unlimited */
  readonly times?: number;
}

/** Replaces the current fault; `undefined` removes it. */
export type Misbehave = (fault: Fault | undefined) => void;

/** Adds faults on demand to a server. They apply before everything else, including authentication. */
export function addMisbehaviour(app: FastifyInstance): Misbehave {
  let current: Fault | undefined;
  let left = 0;
  const closing = new AbortController();
  app.addHook("preClose", async () => closing.abort());

  app.addHook("onRequest", async (request, reply) => {
    const fault = current;
    if (!fault || left <= 0 || !matches(fault, request.method, request.url)) return;
    left -= 1;
    if (fault.delayMs) {
      // Closing the server must not wait for the delay.
      await sleep(fault.delayMs, undefined, { signal: closing.signal }).catch(() => undefined);
    }
    if (fault.truncate) truncate(reply.raw);
    if (fault.reset) {
      reply.hijack();
      request.raw.socket.resetAndDestroy();
    } else if (fault.status !== undefined) {
      await reply
        .code(fault.status)
        .headers(fault.headers ?? {})
        .send(fault.body ?? "");
    }
  });

  return (fault) => {
    current = fault;
    left = fault?.times ?? Infinity;
  };
}

/** The headers announce the whole body. An answer without a body is not sent at all. */
function truncate(response: ServerResponse): void {
  const write = response.write.bind(response);
  const end = response.end.bind(response);
  const drop = () => response.destroy();
  response.end = ((chunk: unknown) => {
    const half = halfOf(chunk);
    return half.length === 0 ? drop() : end(half, drop);
  }) as typeof response.end;
  // A stream has no announced length, so its end alone would look regular.
  response.write = ((chunk: unknown) => write(halfOf(chunk), drop)) as typeof response.write;
}

function halfOf(chunk: unknown): Buffer {
  const whole =
    typeof chunk === "string" || chunk instanceof Uint8Array ? Buffer.from(chunk) : null;
  return whole?.subarray(0, Math.floor(whole.length / 2)) ?? Buffer.alloc(0);
}

function matches({ match }: Fault, method: string, url: string): boolean {
  if (match?.method && match.method.toUpperCase() !== method) return false;
  // `search`, because `test` keeps a position in patterns with the flag g.
  return match?.path ? pathOf(url).search(match.path) >= 0 : true;
}

function pathOf(url: string): string {
  return url.split("?", 1)[0] ?? url;
}
