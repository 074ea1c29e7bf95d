import { InfraError } from "../../../core/errors.ts";
import type { Http } from "../../http.ts";
import { serverSentEvents } from "../../sse.ts";
import { scopeHeaders } from "../headers.ts";
import type { Entry, Scope, TailOptions } from "../port.ts";
import { entry } from "./entry.ts";
import { pointing, QUERY_CODES } from "./query.ts";

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
  const options = { query: { q: cpl }, headers, signal, codes: QUERY_CODES };
  return entriesOf(await pointing(cpl, http.stream("/tail", options)), signal);
}

async function* entriesOf(
  bytes: AsyncIterable<Uint8Array>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Entry> {
  try {
    for await (const { type, data } of serverSentEvents(bytes)) {
      const parsed = entry.safeParse(jsonOf(data));
      if (parsed.success) yield parsed.data;
      // Beside entries a stream may carry signs of life, under a name of their own.
      else if (type === "message") throw broken(parsed.error.issues[0]);
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

function broken(issue?: { readonly path: PropertyKey[]; readonly message: string }): InfraError {
  const where = issue?.path.map(String).join(".") || "the whole";
  return new InfraError(
    "RDEV_CONTRACT",
    `Citadel sent an entry on GET /tail that is not what its API promises (${where}: ${issue?.message}).`,
  );
}
