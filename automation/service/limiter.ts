import { normalizeIP } from "@fastify/rate-limit";
import type { FastifyInstance, FastifyRequest } from "fastify";

const MINUTE = 60_000;

export interface Usage {
  readonly isExceeded: boolean;
  readonly remaining: number;
  /** In whole seconds. */
  readonly retryAfter: number;
}

/** Counts requests per minute and per key. */
export interface Limiter {
  count(request: FastifyRequest): Promise<Usage>;
  /** Whether one more request would exceed the limit. */
  peek(request: FastifyRequest): Promise<Usage>;
}

/** A client's address. For IPv6 its /64 network, because one client usually has all of it. */
export function addressOf({ ip }: Pick<FastifyRequest, "ip">): string {
  return normalizeIP(ip, 64);
}

export function limiter(
  app: FastifyInstance,
  max: number,
  keyOf: (request: FastifyRequest) => string,
): Limiter {
  // Counts are in an LRU cache, so a flood of keys cannot fill memory.
  const check = app.createRateLimit({ max, timeWindow: MINUTE, keyGenerator: keyOf });
  const usage = async (request: FastifyRequest, increment: boolean): Promise<Usage> => {
    const found = await check(request, { increment });
    if (found.isAllowed) return { isExceeded: false, remaining: max, retryAfter: 0 };
    const { isExceeded, remaining, ttlInSeconds } = found;
    const full = increment ? isExceeded : remaining === 0;
    return { isExceeded: full, remaining, retryAfter: Math.max(1, ttlInSeconds) };
  };
  return { count: (request) => usage(request, true), peek: (request) => usage(request, false) };
}
