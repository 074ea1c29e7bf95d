/** The failures after which a request is sent again. A rate limit is always one. */
interface Retryable {
  readonly statuses: readonly number[];
  /** The codes of failed connections. */
  readonly errors: readonly string[];
}

const IDEMPOTENT: Retryable = {
  statuses: [502, 503, 504],
  errors: ["ECONNRESET", "ECONNREFUSED", "EPIPE", "UND_ERR_SOCKET"],
};

const NOT_IDEMPOTENT: Retryable = { statuses: [], errors: ["ECONNREFUSED"] };

/** A request that is not idempotent is sent again only if it certainly had no effect. */
export function retryableFor(isIdempotent: boolean): Retryable {
  return isIdempotent ? IDEMPOTENT : NOT_IDEMPOTENT;
}
