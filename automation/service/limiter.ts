import { normalizeIP } from "@fastify/rate-limit";
import type { FastifyInstance, FastifyRequest } from "fastify";

const MINUTE = 60_000;

export interface Usage {
  readonly isExceeded: boolean;
  readonly remaining: number;
  /** Whole seconds until the count begins anew. */
  readonly retryAfter: number;
}

/** Counts requests a minute, apart by what `keyOf` tells of them. */
export interface Limiter {
  /** Counts this one, too. */
  count(request: FastifyRequest): Promise<Usage>;
  /** Whether one more would be too many. */
  look(request: FastifyRequest): Promise<Usage>;
}

/** A client's address. Of IPv6 the first 64 bits: whoever has one such address has all that begin so. */
export function addressOf({ ip }: Pick<FastifyRequest, "ip">): string {
  return normalizeIP(ip, 64);
}

export function limiter(
  app: FastifyInstance,
  max: number,
  keyOf: (request: FastifyRequest) => string,
): Limiter {
  // It counts in memory, and forgets whom it has not seen for longest: a flood cannot fill it.
  const check = app.createRateLimit({ max, timeWindow: MINUTE, keyGenerator: keyOf });
  const usage = async (request: FastifyRequest, increment: boolean): Promise<Usage> => {
    const found = await check(request, { increment });
    if (found.isAllowed) return { isExceeded: false, remaining: max, retryAfter: 0 };
    const { isExceeded, remaining, ttlInSeconds } = found;
    const full = increment ? isExceeded : remaining === 0;
    return { isExceeded: full, remaining, retryAfter: Math.max(1, ttlInSeconds) };
  };
  return { count: (request) => usage(request, true), look: (request) => usage(request, false) };
}
