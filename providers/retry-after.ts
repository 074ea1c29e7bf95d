/**
 * How long an answer asks to wait, in ms: its header Retry-After (seconds, or a date), or else
 * `retry_after` in its body, in seconds. Undefined where it asks for nothing that makes sense.
 */
export function retryAfterOf(
  answer: {
    readonly headers: Readonly<Record<string, string | string[] | undefined>>;
    readonly text: string;
  },
  now = Date.now(),
): number | undefined {
  const { "retry-after": header } = answer.headers;
  const said = typeof header === "string" ? ofHeader(header.trim(), now) : undefined;
  return said ?? ofBody(answer.text);
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
