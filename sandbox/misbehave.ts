import type { ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import type { FastifyInstance } from "fastify";

/** What a stand-in does wrong, to requests that match. */
export interface Misbehaviour {
  /** Which requests: both must fit. `path` is tried on the path without its query. Default: all. */
  readonly match?: { readonly method?: string; readonly path?: RegExp };
  /** Answered at once, in place of the real answer. */
  readonly status?: number;
  readonly headers?: Record<string, string>;
  readonly body?: string;
  /** The connection is reset (ECONNRESET at the caller) and nothing is answered. */
  readonly reset?: boolean;
  /** Half of the answer, and of a stream half of its first part, is sent; then the connection ends. */
  readonly truncate?: boolean;
  /** Waits first; without `status` and `reset` the real answer follows. */
  readonly delayMs?: number;
  /** How many requests it meets before all is well again. Default: no end. */
  readonly times?: number;
}

/** Sets the rule, in place of the one before; `undefined` ends it. */
export type Misbehave = (rule: Misbehaviour | undefined) => void;

/** Adds faults on demand to a server. They come before everything else, authentication included. */
export function addMisbehaviour(app: FastifyInstance): Misbehave {
  let current: Misbehaviour | undefined;
  let left = 0;
  const closing = new AbortController();
  app.addHook("preClose", async () => closing.abort());

  app.addHook("onRequest", async (request, reply) => {
    const rule = current;
    if (!rule || left <= 0 || !matches(rule, request.method, request.url)) return;
    left -= 1;
    if (rule.delayMs) {
      // A server that is closed in the middle of a delay must not wait for its end.
      await sleep(rule.delayMs, undefined, { signal: closing.signal }).catch(() => undefined);
    }
    if (rule.truncate) truncate(reply.raw);
    if (rule.reset) {
      reply.hijack();
      request.raw.socket.resetAndDestroy();
    } else if (rule.status !== undefined) {
      await reply
        .code(rule.status)
        .headers(rule.headers ?? {})
        .send(rule.body ?? "");
    }
  });

  return (rule) => {
    current = rule;
    left = rule?.times ?? Infinity;
  };
}

/** The headers promise the whole answer; of an answer without a body nothing is sent. */
function truncate(response: ServerResponse): void {
  const write = response.write.bind(response);
  const end = response.end.bind(response);
  const drop = () => response.destroy();
  response.end = ((chunk: unknown) => {
    const half = halfOf(chunk);
    return half.length === 0 ? drop() : end(half, drop);
  }) as typeof response.end;
  // A stream has no length: its end would look like a good one.
  response.write = ((chunk: unknown) => write(halfOf(chunk), drop)) as typeof response.write;
}

function halfOf(chunk: unknown): Buffer {
  const whole =
    typeof chunk === "string" || chunk instanceof Uint8Array ? Buffer.from(chunk) : null;
  return whole?.subarray(0, Math.floor(whole.length / 2)) ?? Buffer.alloc(0);
}

function matches({ match }: Misbehaviour, method: string, url: string): boolean {
  if (match?.method && match.method.toUpperCase() !== method) return false;
  // search, not test: a pattern with the flag g would remember where it stopped.
  return match?.path ? pathOf(url).search(match.path) >= 0 : true;
}

function pathOf(url: string): string {
  return url.split("?", 1)[0] ?? url;
}
