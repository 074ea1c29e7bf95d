/** What an HTTP answer says: whether something is missing, how long to wait, and why it failed. */
import { InfraError } from "../core/errors.ts";

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
}

/** The result of the call, or undefined if it failed with status 404. */
export async function unless404<T>(call: Promise<T>): Promise<T | undefined> {
  try {
    return await call;
  } catch (error) {
    if (error instanceof InfraError && error.status === 404) return undefined;
    throw error;
  }
}

/**
 * Whether an answer asks the client to slow down. GitHub uses 403 for that as well as 429:
 * https://docs.github.com/rest/using-the-rest-api/troubleshooting-the-rest-api#rate-limit-errors
 */
export function isRateLimited({ status, headers }: Answer): boolean {
  if (status !== 403) return status === 429;
  return headers["retry-after"] !== undefined || isLimitUsedUp(headers);
}

/**
 * How long an answer asks to wait, in ms: by the header Retry-After (seconds or a date), else by
 * `retry_after` in the body (seconds), else by GitHub's X-RateLimit-Reset. Undefined if it names no
 * valid time.
 */
export function retryAfterOf(
  { headers, text }: Pick<Answer, "headers" | "text">,
  now = Date.now(),
): number | undefined {
  const { "retry-after": header } = headers;
  const byHeader = typeof header === "string" ? byRetryAfter(header.trim(), now) : undefined;
  return byHeader ?? byBody(text) ?? byReset(headers, now);
}

function isLimitUsedUp(headers: Answer["headers"]): boolean {
  return headers["x-ratelimit-remaining"] === "0";
}

/** The header is in seconds since 1970. */
function byReset(headers: Answer["headers"], now: number): number | undefined {
  const { "x-ratelimit-reset": reset } = headers;
  if (!isLimitUsedUp(headers) || typeof reset !== "string" || !/^\d+$/.test(reset)) {
    return undefined;
  }
  return Math.max(0, Number(reset) * 1000 - now);
}

function byRetryAfter(header: string, now: number): number | undefined {
  if (/^\d+(\.\d+)?$/.test(header)) return Number(header) * 1000;
  const date = Date.parse(header);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}

function byBody(text: string): number | undefined {
  const seconds = propertyOf(jsonOrText(text), "retry_after");
  return typeof seconds === "number" && seconds >= 0 ? seconds * 1000 : undefined;
}

/** The JSON in a text, or the text itself if it is not JSON. */
export function jsonOrText(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** The properties that the systems here use for an error message. */
const MESSAGES = ["message", "error", "errors", "title"];

/** The server's error message as `: message`, on one line. Empty if there is none. */
export function errorMessageIn(text: string): string {
  const body = jsonOrText(text);
  const isText = typeof body === "string";
  const found = isText ? body : MESSAGES.map((key) => propertyOf(body, key)).find(Boolean);
  if (!found) return "";
  const message = typeof found === "string" ? found : JSON.stringify(found);
  // Proxies answer with a page of HTML, which tells a reader nothing.
  if (message.startsWith("<")) return "";
  const [line = ""] = message.split("\n");
  return `: ${line.slice(0, 300).replace(/\.$/, "")}`;
}

/** The position in a query that Citadel names for a syntax error. */
export function errorPositionIn(text: string): number | undefined {
  const position = propertyOf(jsonOrText(text), "position");
  return typeof position === "number" ? position : undefined;
}

function propertyOf(body: unknown, key: string): unknown {
  return typeof body === "object" && body !== null && key in body
    ? (body as Record<string, unknown>)[key]
    : undefined;
}
