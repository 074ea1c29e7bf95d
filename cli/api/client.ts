import { z } from "zod";
import { connection } from "../../core/connections.ts";
import { ERROR_CODES, type ErrorCode, InfraError } from "../../core/errors.ts";
import { Http } from "../../providers/http.ts";
import { type ServerSentEvent, serverSentEvents } from "../../providers/sse.ts";

type Method = "GET" | "PUT" | "POST" | "DELETE";

export interface CallOptions {
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>;
  readonly json?: object;
  /** The same again starts nothing twice. */
  readonly idempotencyKey?: string;
}

/** A problem, as far as it is needed: a newer service may know more. */
const problem = z.object({
  code: z.string(),
  detail: z.string(),
  errors: z.array(z.object({ in: z.string(), pointer: z.string(), detail: z.string() })).optional(),
});

/** The API of RDEV_INFRA_URL, as the key of RDEV_INFRA_KEY. */
export class ApiClient {
  readonly #http: Http;

  constructor({ url, key } = connection("api")) {
    this.#http = new Http({
      ...{ system: "The API", url, credential: "RDEV_INFRA_KEY", secrets: [key] },
      headers: { authorization: `Bearer ${key}` },
    });
  }

  /** Rejects with the problem that the service tells of, by its code. */
  async call<S extends z.ZodType>(
    method: Method,
    path: string,
    schema: S,
    { query = {}, json, idempotencyKey }: CallOptions = {},
  ): Promise<z.output<S>> {
    const given = Object.entries(query).filter((entry) => entry[1] !== undefined);
    const { status, text } = await this.#http.raw(method, path, {
      query: Object.fromEntries(given) as Record<string, string | number | boolean>,
      ...(json && { json }),
      ...(idempotencyKey !== undefined && { headers: { "idempotency-key": idempotencyKey } }),
    });
    const body = parsed(text);
    if (status > 299) throw toldProblem(status, body);
    const answer = schema.safeParse(body);
    if (answer.success) return answer.data;
    throw new InfraError(
      "RDEV_CONTRACT",
      `The API answered ${method} ${path} with something else.`,
    );
  }

  /** The events of an operation after that number. Rejects as `Http.stream`. */
  async events(id: string, after: number, signal: AbortSignal): Promise<EventSource> {
    const bytes = await this.#http.stream(`/v1/operations/${id}/events`, {
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

function toldProblem(status: number, body: unknown): InfraError {
  const told = problem.safeParse(body).data;
  if (!told) return new InfraError("RDEV_REFUSED", `The API answered with ${status}.`, { status });
  const { code, errors, detail } = told;
  const lines = errors?.map((one) => `\n  - ${one.in} ${one.pointer}: ${one.detail}`) ?? [];
  const text = lines.length > 0 ? `The API refused the request:${lines.join("")}` : detail;
  return new InfraError(code in ERROR_CODES ? (code as ErrorCode) : "RDEV_REFUSED", text, {
    status,
  });
}
