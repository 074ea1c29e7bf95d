import { z } from "zod";
import { pageOf } from "../../automation/service/schemas/page.ts";
import { connection } from "../../core/connections.ts";
import { ERROR_CODES, type ErrorCode, InfraError } from "../../core/errors.ts";
import { Http } from "../../providers/http.ts";
import { type ServerSentEvent, serverSentEvents } from "../../providers/sse.ts";

type Method = "GET" | "PUT" | "POST" | "DELETE";

export interface CallOptions {
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>;
  readonly json?: object;
  /** A repeated call with the same key starts nothing twice. */
  readonly idempotencyKey?: string;
  /** In ms. Default: 30 s. */
  readonly deadline?: number;
}

/** The fields of a problem that are used here; a newer service may send more. */
const problem = z.object({
  code: z.string(),
  detail: z.string(),
  errors: z.array(z.object({ in: z.string(), pointer: z.string(), detail: z.string() })).optional(),
});

/** The API at RDEV_INFRA_URL, called with the key RDEV_INFRA_KEY. */
export class ApiClient {
  readonly url: string;
  readonly #http: Http;

  constructor({ url, key } = connection("api")) {
    this.url = url;
    this.#http = new Http({
      system: "The API",
      url,
      credential: "RDEV_INFRA_KEY",
      secrets: [key],
      headers: { authorization: `Bearer ${key}` },
    });
  }

  /** Rejects with the service's problem, under its code. */
  async call<S extends z.ZodType>(
    method: Method,
    path: string,
    schema: S,
    { query = {}, json, idempotencyKey, deadline }: CallOptions = {},
  ): Promise<z.output<S>> {
    const filled = Object.entries(query).filter((entry) => entry[1] !== undefined);
    const { status, text } = await this.#http.raw(method, path, {
      query: Object.fromEntries(filled) as Record<string, string | number | boolean>,
      ...(json && { json }),
      ...(deadline !== undefined && { deadline }),
      ...(idempotencyKey !== undefined && { headers: { "idempotency-key": idempotencyKey } }),
    });
    const body = parsed(text);
    if (status > 299) throw problemError(status, body);
    const answer = schema.safeParse(body);
    if (answer.success) return answer.data;
    throw new InfraError(
      "RDEV_CONTRACT",
      `The API's answer to ${method} ${path} does not have the expected form.`,
    );
  }

  /** Yields the items of a list, page by page. Rejects like `call`. */
  async *items<S extends z.ZodType>(
    path: string,
    item: S,
    query: CallOptions["query"] = {},
  ): AsyncGenerator<z.output<S>> {
    const page = pageOf(item);
    let cursor: string | undefined;
    do {
      const found = await this.call("GET", path, page, { query: { ...query, cursor, limit: 200 } });
      yield* found.items;
      cursor = found.next;
    } while (cursor !== undefined);
  }

  /** Streams the events at a path after this number. Rejects as `Http.stream` does. */
  async events(path: string, after: number, signal: AbortSignal): Promise<EventSource> {
    const bytes = await this.#http.stream(path, {
      headers: { accept: "text/event-stream", "last-event-id": String(after) },
      signal,
    });
    return serverSentEvents(bytes);
  }
}

type EventSource = AsyncIterable<ServerSentEvent>;

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function problemError(status: number, body: unknown): InfraError {
  const known = problem.safeParse(body).data;
  if (!known) return new InfraError("RDEV_REFUSED", `The API answered with ${status}.`, { status });
  const { code, errors, detail } = known;
  const lines = errors?.map((one) => `\n  - ${one.in} ${one.pointer}: ${one.detail}`) ?? [];
  const text = lines.length > 0 ? `The API refused the request:${lines.join("")}` : detail;
  return new InfraError(code in ERROR_CODES ? (code as ErrorCode) : "RDEV_REFUSED", text, {
    status,
  });
}
