import { setTimeout as sleep } from "node:timers/promises";
import { Agent, type Dispatcher, request } from "undici";
import type { z } from "zod";
import { type ErrorCode, InfraError, type InfraErrorOptions, redact } from "../core/errors.ts";
import { isRateLimited, retryAfterOf } from "./retry-after.ts";

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
  /** What a status means on this system, where that is more than RDEV_REFUSED. */
  readonly codes?: Codes;
}

interface Again {
  readonly statuses: readonly number[];
  readonly errors: readonly string[];
}

type Codes = Readonly<Partial<Record<number, ErrorCode>>>;

export interface CallOptions {
  readonly query?: Readonly<Record<string, string | number | boolean>>;
  /** Sent as JSON. */
  readonly json?: unknown;
  /** Sent as it is; then `headers` should name its type. */
  readonly body?: string | Buffer;
  readonly headers?: Readonly<Record<string, string>>;
  /** In place of the system's, for this call. */
  readonly deadline?: number;
  /** Beside the system's, for this call. */
  readonly codes?: Codes;
}

export interface StreamOptions extends CallOptions {
  /** Ends the stream. */
  readonly signal?: AbortSignal | undefined;
}

/** What a server may have said, in the shapes that the systems here use for errors. */
const SAID = ["message", "error", "errors", "title"] as const;

/** When to send again what may be done twice, beside where the system asks to slow down. */
const IDEMPOTENT: Again = {
  statuses: [502, 503, 504],
  errors: ["ECONNRESET", "ECONNREFUSED", "EPIPE", "UND_ERR_SOCKET"],
};

/** Of what changes something, only what was certainly not done is sent again. */
const CHANGING: Again = { statuses: [], errors: ["ECONNREFUSED"] };

const MAX_TRIES = 5;
/** In ms, where the server does not say how long; doubles with every try. */
const FIRST_WAIT = 200;
const DEADLINE = 30_000;

/** One pool for the process. */
const pool = new Agent({ connections: 16 });

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
    return (await this.ask(method, path, schema, options)).data;
  }

  /** As `call`, with the answer's headers. */
  async ask<S extends z.ZodType>(
    method: Dispatcher.HttpMethod,
    path: string,
    schema: S,
    options: CallOptions = {},
  ): Promise<Pick<Answer, "headers"> & { readonly data: z.output<S> }> {
    const answer = await this.send(method, path, options);
    const parsed = schema.safeParse(answer.text === "" ? undefined : this.#json(answer.text));
    if (parsed.success) return { data: parsed.data, headers: answer.headers };
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
    if (answer.status < 200 || answer.status > 299) {
      throw this.failure(method, path, answer, options.codes);
    }
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

  /**
   * Whatever the answer's status is. Throws only where there was no answer. Tries again itself, as
   * undici's interceptor sees no answer's body, where some say how long to wait, and would wait
   * beyond the deadline.
   */
  async raw(
    method: Dispatcher.HttpMethod,
    path: string,
    options: CallOptions = {},
  ): Promise<Answer> {
    const deadline = options.deadline ?? this.#options.deadline ?? DEADLINE;
    const signal = AbortSignal.timeout(deadline);
    const end = performance.now() + deadline;
    const again = method === "POST" || method === "PATCH" ? CHANGING : IDEMPOTENT;
    for (let tries = 1; ; tries += 1) {
      const result = await this.#once(method, path, options, signal).catch(
        (error: unknown) => error as NodeJS.ErrnoException,
      );
      const failed = result instanceof Error;
      if (failed && signal.aborted) throw this.#late(method, path, deadline);
      const retry = failed
        ? again.errors.includes(result.code ?? "")
        : isRateLimited(result) || again.statuses.includes(result.status);
      const wait = (failed ? undefined : retryAfterOf(result)) ?? FIRST_WAIT * 2 ** (tries - 1);
      if (!retry || tries === MAX_TRIES || performance.now() + wait >= end) {
        if (failed) throw this.#unreachable(result);
        return result;
      }
      await sleep(wait);
    }
  }

  /**
   * The bytes of an answer that has no end of its own, once it has begun. The deadline is for that
   * beginning. Throws for every status outside 2xx, and from the stream where it breaks.
   */
  async stream(path: string, options: StreamOptions = {}): Promise<AsyncIterable<Uint8Array>> {
    const deadline = options.deadline ?? this.#options.deadline ?? DEADLINE;
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(), deadline);
    const signals = [late.signal, ...(options.signal ? [options.signal] : [])];
    try {
      const answer = await this.#request("GET", path, options, AbortSignal.any(signals));
      const { statusCode: status, headers, body } = answer;
      if (status < 200 || status > 299) {
        const text = await body.text();
        throw this.failure("GET", path, { status, headers, text }, options.codes);
      }
      this.#demandType(path, options.headers?.["accept"], headers["content-type"]);
      return this.#bytes(body);
    } catch (error) {
      if (error instanceof InfraError || options.signal?.aborted) throw error;
      if (late.signal.aborted) throw this.#late("GET", path, deadline);
      throw this.#unreachable(error as NodeJS.ErrnoException);
    } finally {
      clearTimeout(timer);
    }
  }

  #demandType(path: string, wanted: string | undefined, got: unknown): void {
    if (wanted === undefined || String(got).startsWith(wanted)) return;
    throw this.#error("RDEV_CONTRACT", `answered GET ${path} with ${String(got)}, not ${wanted}.`);
  }

  async *#bytes(body: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
    try {
      yield* body;
    } catch (error) {
      throw this.#unreachable(error as NodeJS.ErrnoException);
    }
  }

  async #once(
    method: Dispatcher.HttpMethod,
    path: string,
    options: CallOptions,
    signal: AbortSignal,
  ): Promise<Answer> {
    const answer = await this.#request(method, path, options, signal);
    return { status: answer.statusCode, headers: answer.headers, text: await answer.body.text() };
  }

  #request(
    method: Dispatcher.HttpMethod,
    path: string,
    options: CallOptions,
    signal: AbortSignal,
  ): Promise<Dispatcher.ResponseData> {
    const { json, body, query } = options;
    return request(this.#options.url + path, {
      method,
      headers: {
        ...this.#options.headers,
        accept: "application/json",
        ...(json !== undefined && { "content-type": "application/json" }),
        ...options.headers,
      },
      body: (json === undefined ? body : JSON.stringify(json)) ?? null,
      signal,
      dispatcher: pool,
      ...(query && { query }),
    });
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
  failure(method: string, path: string, answer: Answer, codes?: Codes): InfraError {
    const { status } = answer;
    const { credential } = this.#options;
    const said = this.#said(answer.text);
    const retryAfter = retryAfterOf(answer);
    const position = positionOf(this.#json(answer.text));
    const facts = { status, retryAfter, position };
    if (status === 401) {
      return this.#error("RDEV_UNAUTHORIZED", `refused ${credential}${said}.`, facts);
    }
    const isLimited = isRateLimited(answer);
    if (status === 403 && !isLimited) {
      return this.#error(
        "RDEV_FORBIDDEN",
        `does not let ${credential} do ${method} ${path}${said}.`,
        facts,
      );
    }
    const known = { ...this.#options.codes, ...codes }[status];
    const code = known ?? (isLimited ? "RDEV_RATE_LIMITED" : meaningOf(status));
    const wait = retryAfter === undefined ? "" : ` It asks to wait ${retryAfter / 1000} s.`;
    return this.#error(code, `answered ${method} ${path} with ${status}${said}.${wait}`, facts);
  }

  #late(method: string, path: string, deadline: number): InfraError {
    return this.#error(
      "RDEV_DEADLINE",
      `did not answer ${method} ${path} within ${deadline / 1000} s.`,
    );
  }

  #unreachable(error: NodeJS.ErrnoException): InfraError {
    const { system, url } = this.#options;
    return new InfraError(
      "RDEV_UNREACHABLE",
      this.#clean(
        `${system} at ${url} cannot be reached (${error.code ?? error.message}). ` +
          "Is it up, and the address right?",
      ),
    );
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

  #error(code: ErrorCode, text: string, facts?: InfraErrorOptions): InfraError {
    return new InfraError(code, this.#clean(`${this.#options.system} ${text}`), facts);
  }

  #clean(text: string): string {
    return redact(text, this.#options.secrets);
  }
}

function meaningOf(status: number): ErrorCode {
  if (status === 413) return "RDEV_TOO_LARGE";
  return status >= 500 ? "RDEV_UNREACHABLE" : "RDEV_REFUSED";
}

function positionOf(body: unknown): number | undefined {
  if (typeof body !== "object" || body === null) return undefined;
  const { position } = body as { position?: unknown };
  return typeof position === "number" ? position : undefined;
}
