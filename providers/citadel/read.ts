import { z } from "zod";
import { InfraError } from "../../core/errors.ts";
import type { CallOptions, Http } from "../http.ts";
import { serverSentEvents } from "../sse.ts";
import { tenantId } from "./manage.ts";
import type { Entry, QueryOptions, QueryResult, Scope, TailOptions } from "./port.ts";

const entry = z
  .object({
    id: z.union([z.string(), z.number().transform(String)]),
    timestamp: z.iso.datetime({ offset: true }),
    level: z.string(),
    service: z.string(),
    message: z.string(),
    trace_id: z.string().nullish(),
    metadata: z.record(z.string(), z.unknown()).nullish(),
  })
  .transform(({ trace_id, metadata, ...rest }): Entry => ({
    ...rest,
    traceId: trace_id ?? undefined,
    metadata: metadata ?? {},
  }));

const queryAnswer = z
  .object({ entries: z.array(entry), total: z.number(), duration_ms: z.number() })
  .transform(({ duration_ms, ...rest }): QueryResult => ({ ...rest, durationMs: duration_ms }));

const CODES: CallOptions["codes"] = {
  400: "RDEV_QUERY",
  422: "RDEV_QUERY",
  404: "RDEV_TENANT",
};

export async function query(
  http: Http,
  scope: Scope,
  cpl: string,
  { range = "1h", limit = 100, from, before }: QueryOptions = {},
): Promise<QueryResult> {
  const ask = (q: string) => {
    const options = { query: { q, range, limit }, headers: scopeHeaders(scope), codes: CODES };
    return withErrorPosition(q, http.call("GET", "/query", queryAnswer, options));
  };
  const bounds = [
    ...(from ? [`timestamp:>=${from.toISOString()}`] : []),
    ...(before ? [`timestamp:<${before.toISOString()}`] : []),
  ];
  if (bounds.length === 0 || !isBalanced(cpl)) return ask(cpl);
  try {
    return await ask(`(${cpl}) ${bounds.join(" ")}`);
  } catch (error) {
    // Citadel's error for the text that the caller knows, with the position in it.
    if (error instanceof InfraError && error.code === "RDEV_QUERY") await ask(cpl);
    throw error;
  }
}

/** Whether a text in parentheses stays in them. Citadel itself refuses a query for which it is false. */
function isBalanced(cpl: string): boolean {
  let depth = 0;
  for (const [token] of cpl.matchAll(/"(?:[^"\\]|\\.)*"|[()]/gs)) {
    if (token === "(") depth += 1;
    else if (token === ")") depth -= 1;
    if (depth < 0) return false;
  }
  return depth === 0;
}

export async function tail(
  http: Http,
  scope: Scope,
  cpl: string,
  { signal, lastEventId }: TailOptions = {},
): Promise<AsyncIterable<Entry>> {
  const headers = {
    ...scopeHeaders(scope),
    accept: "text/event-stream",
    ...(lastEventId !== undefined && { "last-event-id": lastEventId }),
  };
  const options = { query: { q: cpl }, headers, signal, codes: CODES };
  return entriesOf(await withErrorPosition(cpl, http.stream("/tail", options)), signal);
}

/** Throws RDEV_TENANT if the tenant's id is not a UUID, or no group can have the name. */
function scopeHeaders(scope: Scope): Record<string, string> {
  if (scope === "organization") return {};
  if ("tenant" in scope) return { "x-tenant-id": tenantId(scope.tenant) };
  // Other characters could end the header early.
  if (/^[\x21-\x7e]+$/.test(scope.group)) return { "x-tenant-group": scope.group };
  const text = `${JSON.stringify(scope.group)} is not a valid name of a tenant group.`;
  throw new InfraError("RDEV_TENANT", text);
}

/** Adds the query with a pointer below the wrong character, where Citadel names its position. */
async function withErrorPosition<T>(cpl: string, answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    if (!(error instanceof InfraError) || error.code !== "RDEV_QUERY") throw error;
    const { position } = error;
    if (position === undefined) throw error;
    const oneLine = cpl.replaceAll(/\s/g, " ");
    const message = `${error.message}\n  ${oneLine}\n  ${" ".repeat(position)}^`;
    throw new InfraError("RDEV_QUERY", message, error);
  }
}

async function* entriesOf(
  bytes: AsyncIterable<Uint8Array>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Entry> {
  try {
    for await (const { type, data } of serverSentEvents(bytes)) {
      const parsed = entry.safeParse(jsonOf(data));
      if (parsed.success) yield parsed.data;
      // A stream may also carry keep-alive events, which have another type.
      else if (type === "message") throw notAnEntry(parsed.error.issues[0]);
    }
  } catch (error) {
    if (!signal?.aborted) throw error;
  }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function notAnEntry(issue?: {
  readonly path: PropertyKey[];
  readonly message: string;
}): InfraError {
  const where = issue?.path.map(String).join(".") || "the whole";
  return new InfraError(
    "RDEV_CONTRACT",
    "Citadel sent an entry on GET /tail that does not match its API " +
      `(${where}: ${issue?.message}).`,
  );
}
