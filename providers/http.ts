import { Agent, type Dispatcher, interceptors, request } from "undici";
import type { z } from "zod";
import { type ErrorCode, InfraError, redact } from "../core/errors.ts";

/** How a system is spoken to over HTTP. */
export interface HttpOptions {
  /** The system's name in messages: `Gitea`. */
  readonly system: string;
  /** Without a trailing slash. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Taken out of every error text. */
  readonly secrets: readonly string[];
  /** The variable to look at when the credentials are refused: `GITEA_TOKEN`. */
  readonly credential: string;
  /** For one call with all its retries, in ms. Default 30 s. */
  readonly deadline?: number;
}

export interface CallOptions {
  readonly query?: Readonly<Record<string, string | number | boolean>>;
  /** Sent as JSON. */
  readonly json?: unknown;
  /** Sent as it is; then `headers` should name its type. */
  readonly body?: string | Buffer;
  readonly headers?: Readonly<Record<string, string>>;
}

/** What a server may have said, in the shapes that the systems here use for errors. */
const SAID = ["message", "error", "errors", "title"] as const;

/** Safe to send twice. */
const IDEMPOTENT = {
  methods: ["GET", "HEAD", "PUT", "DELETE"] as Dispatcher.HttpMethod[],
  statusCodes: [429, 502, 503, 504],
  errorCodes: ["ECONNRESET", "ECONNREFUSED", "EPIPE", "UND_ERR_SOCKET"],
};

/** Of what changes something, only what was certainly not done is sent again. */
const CHANGING = {
  methods: ["POST", "PATCH"] as Dispatcher.HttpMethod[],
  statusCodes: [429],
  errorCodes: ["ECONNREFUSED"],
};

/** One pool for the process. The retry interceptor honours Retry-After. */
const pool = new Agent({ connections: 16 }).compose(
  interceptors.retry({ throwOnError: false, maxRetries: 4, minTimeout: 200, maxTimeout: 20_000 }),
);

/** An answer that was not asked for as an error: its status, headers and text. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
}

/**
 * A client for one system. Retries what is safe to retry, within a deadline; checks answers; and
 * turns every failure into an InfraError without a secret.
 */
export class Http {
  readonly #options: HttpOptions;

  constructor(options: HttpOptions) {
    this.#options = options;
  }

  /** The answer, checked. Throws for every status outside 2xx, with the status in the error. */
  async call<S extends z.ZodType>(
    method: Dispatcher.HttpMethod,
    path: string,
    schema: S,
    options: CallOptions = {},
  ): Promise<z.output<S>> {
    const answer = await this.send(method, path, options);
    const parsed = schema.safeParse(answer.text === "" ? undefined : this.#json(answer.text));
    if (parsed.success) return parsed.data;
    const first = parsed.error.issues[0];
    throw this.#error(
      "RDEV_CONTRACT",
      `answered ${method} ${path} with something else than its API promises ` +
        `(${first?.path.join(".") || "the whole"}: ${first?.message}).`,
    );
  }

  /** The answer as it is, with its headers. Throws for every status outside 2xx. */
  async send(
    method: Dispatcher.HttpMethod,
    path: string,
    options: CallOptions = {},
  ): Promise<Answer> {
    const answer = await this.raw(method, path, options);
    if (answer.status < 200 || answer.status > 299) throw this.#failed(method, path, answer);
    return answer;
  }

  /** As `call`, but undefined where the answer is 404. */
  async find<S extends z.ZodType>(
    path: string,
    schema: S,
    options: CallOptions = {},
  ): Promise<z.output<S> | undefined> {
    return this.#unless404(() => this.call("GET", path, schema, options));
  }

  /** Deletes; done as well where there is nothing. */
  async remove(path: string, schema: z.ZodType, options: CallOptions = {}): Promise<void> {
    await this.#unless404(() => this.call("DELETE", path, schema, options));
  }

  /** Whatever the answer's status is. Throws only where there was no answer. */
  async raw(
    method: Dispatcher.HttpMethod,
    path: string,
    options: CallOptions = {},
  ): Promise<Answer> {
    const { system, url, headers, deadline = 30_000 } = this.#options;
    const signal = AbortSignal.timeout(deadline);
    const late = new Promise<never>((_, reject) => {
      // Between two tries the signal has no request to abort.
      signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
    });
    const sent = async (): Promise<Answer> => {
      const answer = await request(url + path, {
        method,
        query: options.query,
        headers: {
          ...headers,
          accept: "application/json",
          ...(options.json !== undefined && { "content-type": "application/json" }),
          ...options.headers,
        },
        body: options.json === undefined ? options.body : JSON.stringify(options.json),
        signal,
        dispatcher: pool,
        retryOptions: method === "POST" || method === "PATCH" ? CHANGING : IDEMPOTENT,
      } as Parameters<typeof request>[1]);
      return { status: answer.statusCode, headers: answer.headers, text: await answer.body.text() };
    };
    try {
      return await Promise.race([sent(), late]);
    } catch (error) {
      if (signal.aborted) {
        throw this.#error(
          "RDEV_DEADLINE",
          `did not answer ${method} ${path} within ${deadline / 1000} s.`,
        );
      }
      const reason = (error as NodeJS.ErrnoException).code ?? (error as Error).message;
      throw new InfraError(
        "RDEV_UNREACHABLE",
        this.#clean(
          `${system} at ${url} cannot be reached (${reason}). Is it up, and the address right?`,
        ),
      );
    }
  }

  async #unless404<T>(call: () => Promise<T>): Promise<T | undefined> {
    try {
      return await call();
    } catch (error) {
      if (error instanceof InfraError && error.status === 404) return undefined;
      throw error;
    }
  }

  #json(text: string): unknown {
    try {
      return JSON.parse(text);
    } catch {
      return text;
    }
  }

  /** The error for an answer outside 2xx. */
  #failed(method: string, path: string, answer: Answer): InfraError {
    const { status } = answer;
    const { credential } = this.#options;
    const said = this.#said(answer.text);
    if (status === 401) {
      return this.#error("RDEV_UNAUTHORIZED", `refused ${credential}${said}.`, status);
    }
    if (status === 403) {
      return this.#error(
        "RDEV_FORBIDDEN",
        `does not let ${credential} do ${method} ${path}${said}.`,
        status,
      );
    }
    const code =
      status === 429 ? "RDEV_RATE_LIMITED" : status >= 500 ? "RDEV_UNREACHABLE" : "RDEV_REFUSED";
    return this.#error(code, `answered ${method} ${path} with ${status}${said}.`, status);
  }

  #said(text: string): string {
    const body = this.#json(text);
    const said: unknown =
      typeof body === "object" && body !== null
        ? SAID.map((key) => (body as Record<string, unknown>)[key]).find(Boolean)
        : body;
    if (!said) return "";
    const words = typeof said === "string" ? said : JSON.stringify(said);
    // A page of HTML, as proxies answer, says nothing to a reader.
    if (words.startsWith("<")) return "";
    const [line = ""] = words.split("\n");
    return `: ${line.slice(0, 300).replace(/\.$/, "")}`;
  }

  #error(code: ErrorCode, text: string, status?: number): InfraError {
    return new InfraError(code, this.#clean(`${this.#options.system} ${text}`), {
      ...(status !== undefined && { status }),
    });
  }

  #clean(text: string): string {
    return redact(text, this.#options.secrets);
  }
}
