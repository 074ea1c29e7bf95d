interface Answer {
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
}

/**
 * Whether an answer asks to slow down. GitHub does so with 403 as well, which is no refusal then:
 * https://docs.github.com/rest/using-the-rest-api/troubleshooting-the-rest-api#rate-limit-errors
 */
export function isRateLimited({ status, headers }: Answer & { readonly status: number }): boolean {
  if (status !== 403) return status === 429;
  return headers["retry-after"] !== undefined || isUsedUp(headers);
}

/**
 * How long an answer asks to wait, in ms: its header Retry-After (seconds, or a date), or else
 * `retry_after` in its body, in seconds, or when GitHub's X-RateLimit begins anew. Undefined where it
 * asks for nothing that makes sense.
 */
export function retryAfterOf({ headers, text }: Answer, now = Date.now()): number | undefined {
  const { "retry-after": header } = headers;
  const said = typeof header === "string" ? ofHeader(header.trim(), now) : undefined;
  return said ?? ofBody(text) ?? ofReset(headers, now);
}

function isUsedUp(headers: Answer["headers"]): boolean {
  return headers["x-ratelimit-remaining"] === "0";
}

/** In seconds since 1970. */
function ofReset(headers: Answer["headers"], now: number): number | undefined {
  const { "x-ratelimit-reset": reset } = headers;
  if (!isUsedUp(headers) || typeof reset !== "string" || !/^\d+$/.test(reset)) return undefined;
  return Math.max(0, Number(reset) * 1000 - now);
}

function ofHeader(text: string, now: number): number | undefined {
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text) * 1000;
  const date = Date.parse(text);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}

function ofBody(text: string): number | undefined {
  try {
    const { retry_after: seconds } = JSON.parse(text) as { retry_after?: unknown };
    return typeof seconds === "number" && seconds >= 0 ? seconds * 1000 : undefined;
  } catch {
    return undefined;
  }
}
