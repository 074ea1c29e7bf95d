import { setTimeout as sleep } from "node:timers/promises";
import { Agent, type Dispatcher, request } from "undici";
import type { z } from "zod";
import { type ErrorCode, InfraError, type InfraErrorOptions, redact } from "../core/errors.ts";
import {
  type Answer,
  errorMessageIn,
  errorPositionIn,
  isRateLimited,
  jsonOrText,
  retryAfterOf,
  unless404,
} from "./answers.ts";
import { retryableFor } from "./retryable.ts";

/** How a system is reached over HTTP. */
export interface HttpOptions {
  /** The system's name for messages: `Gitea`. */
  readonly system: string;
  /** Without a trailing slash. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Removed from every error text. */
  readonly secrets: readonly string[];
  /** The variable to check if the credentials are refused: `GITEA_TOKEN`. */
  readonly credential: string;
  /** For one call with all its retries, in ms. Default: 30 s. */
  readonly deadline?: number;
  /** The error codes of statuses that mean more on this system than RDEV_REFUSED. */
  readonly codes?: Codes;
}

type Codes = Readonly<Partial<Record<number, ErrorCode>>>;

export interface CallOptions {
  readonly query?: Readonly<Record<string, string | number | boolean>>;
  /** Sent as JSON. */
  readonly json?: unknown;
  /** Sent unchanged. `headers` should name its content type. */
  readonly body?: string | Buffer;
  readonly headers?: Readonly<Record<string, string>>;
  /** Overrides the system's deadline for this call. */
  readonly deadline?: number;
  /** Added to the system's codes for this call. */
  readonly codes?: Codes;
}

interface StreamOptions extends CallOptions {
  /** Ends the stream. */
  readonly signal?: AbortSignal | undefined;
}

const MAX_TRIES = 5;
/** In ms, if the server names no time. Doubles with every try. */
const FIRST_BACKOFF = 200;
const DEADLINE = 30_000;

/** One connection pool for the process. */
const pool = new Agent({ connections: 16 });

/**
 * A client for one system. It retries what is safe to retry, within a deadline, validates answers, and
 * turns every failure into an InfraError without secrets.
 */
export class Http {
  readonly #options: HttpOptions;

  constructor(options: HttpOptions) {
    this.#options = options;
  }

  /** Returns the validated answer. Throws for every status outside 2xx, with the status in the error. */
  async call<S extends z.ZodType>(
    method: Dispatcher.HttpMethod,
    path: string,
    schema: S,
    options: CallOptions = {},
  ): Promise<z.output<S>> {
    return (await this.callWithHeaders(method, path, schema, options)).data;
  }

  /** Like `call`, with the headers of the answer. */
  async callWithHeaders<S extends z.ZodType>(
    method: Dispatcher.HttpMethod,
    path: string,
    schema: S,
    options: CallOptions = {},
  ): Promise<Pick<Answer, "headers"> & { readonly data: z.output<S> }> {
    const { headers, text } = await this.send(method, path, options);
    const parsed = schema.safeParse(text === "" ? undefined : jsonOrText(text));
    if (parsed.success) return { data: parsed.data, headers };
    const first = parsed.error.issues[0];
    throw this.#error(
      "RDEV_CONTRACT",
      `answered ${method} ${path} with something else than its API promises ` +
        `(${first?.path.join(".") || "the whole"}: ${first?.message}).`,
    );
  }

  /** Returns the unparsed answer. Throws for every status outside 2xx. */
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

  /** Like `call` with GET, but undefined for status 404. */
  async find<S extends z.ZodType>(
    path: string,
    schema: S,
    options: CallOptions = {},
  ): Promise<z.output<S> | undefined> {
    return unless404(this.call("GET", path, schema, options));
  }

  /** Deletes. Succeeds if there is nothing to delete. */
  async remove(path: string, options: CallOptions = {}): Promise<void> {
    await unless404(this.send("DELETE", path, options));
  }

  /**
   * Returns the answer, whatever its status. Throws only if there was no answer.
   *
   * The retry loop is our own because undici's interceptor and p-retry ignore what the answer says:
   * Retry-After may be in the body, and a wait must not exceed the deadline.
   */
  async raw(
    method: Dispatcher.HttpMethod,
    path: string,
    options: CallOptions = {},
  ): Promise<Answer> {
    const deadline = options.deadline ?? this.#options.deadline ?? DEADLINE;
    const signal = AbortSignal.timeout(deadline);
    const end = performance.now() + deadline;
    const retryable = retryableFor(method !== "POST" && method !== "PATCH");
    for (let tries = 1; ; tries += 1) {
      const result = await this.#sendOnce(method, path, options, signal).catch(
        (error: unknown) => error as NodeJS.ErrnoException,
      );
      const failed = result instanceof Error;
      if (failed && signal.aborted) throw this.#timedOut(method, path, deadline);
      const mayRetry = failed
        ? retryable.errors.includes(result.code ?? "")
        : isRateLimited(result) || retryable.statuses.includes(result.status);
      const backoff = FIRST_BACKOFF * 2 ** (tries - 1);
      const wait = (failed ? undefined : retryAfterOf(result)) ?? backoff;
      if (!mayRetry || tries === MAX_TRIES || performance.now() + wait >= end) {
        if (failed) throw this.#unreachable(result);
        return result;
      }
      await sleep(wait);
    }
  }

  /**
   * Returns the bytes of an answer without an end, once it has begun. The deadline limits the time
   * until then. Throws for every status outside 2xx, and from the stream if it breaks.
   */
  async stream(path: string, options: StreamOptions = {}): Promise<AsyncIterable<Uint8Array>> {
    const deadline = options.deadline ?? this.#options.deadline ?? DEADLINE;
    const timeout = new AbortController();
    const timer = setTimeout(() => timeout.abort(), deadline);
    const signals = [timeout.signal, ...(options.signal ? [options.signal] : [])];
    try {
      const answer = await this.#request("GET", path, options, AbortSignal.any(signals));
      const { statusCode: status, headers, body } = answer;
      if (status < 200 || status > 299) {
        const text = await body.text();
        throw this.failure("GET", path, { status, headers, text }, options.codes);
      }
      this.#assertType(path, options.headers?.["accept"], headers["content-type"]);
      return this.#bytes(body);
    } catch (error) {
      if (error instanceof InfraError || options.signal?.aborted) throw error;
      if (timeout.signal.aborted) throw this.#timedOut("GET", path, deadline);
      throw this.#unreachable(error as NodeJS.ErrnoException);
    } finally {
      clearTimeout(timer);
    }
  }

  #assertType(path: string, expected: string | undefined, actual: unknown): void {
    if (expected === undefined || String(actual).startsWith(expected)) return;
    throw this.#error(
      "RDEV_CONTRACT",
      `answered GET ${path} with ${String(actual)}, not ${expected}.`,
    );
  }

  async *#bytes(body: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
    try {
      yield* body;
    } catch (error) {
      throw this.#unreachable(error as NodeJS.ErrnoException);
    }
  }

  async #sendOnce(
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

  /** The error for an answer outside 2xx. */
  failure(method: string, path: string, answer: Answer, codes?: Codes): InfraError {
    const { status, text } = answer;
    const { credential } = this.#options;
    const message = errorMessageIn(text);
    const retryAfter = retryAfterOf(answer);
    const details = { status, retryAfter, position: errorPositionIn(text) };
    if (status === 401) {
      return this.#error("RDEV_UNAUTHORIZED", `refused ${credential}${message}.`, details);
    }
    const isLimited = isRateLimited(answer);
    if (status === 403 && !isLimited) {
      const refusal = `does not let ${credential} do ${method} ${path}${message}.`;
      return this.#error("RDEV_FORBIDDEN", refusal, details);
    }
    const known = { ...this.#options.codes, ...codes }[status];
    const code = known ?? (isLimited ? "RDEV_RATE_LIMITED" : codeOf(status));
    const wait = retryAfter === undefined ? "" : ` It asks to wait ${retryAfter / 1000} s.`;
    const refusal = `answered ${method} ${path} with ${status}${message}.${wait}`;
    return this.#error(code, refusal, details);
  }

  #timedOut(method: string, path: string, deadline: number): InfraError {
    return this.#error(
      "RDEV_DEADLINE",
      `did not answer ${method} ${path} within ${deadline / 1000} s.`,
    );
  }

  #unreachable(error: NodeJS.ErrnoException): InfraError {
    return this.#error(
      "RDEV_UNREACHABLE",
      `at ${this.#options.url} cannot be reached (${error.code ?? error.message}). ` +
        "Is it up, and the address right?",
    );
  }

  #error(code: ErrorCode, text: string, details?: InfraErrorOptions): InfraError {
    const { system, secrets } = this.#options;
    return new InfraError(code, redact(`${system} ${text}`, secrets), details);
  }
}

function codeOf(status: number): ErrorCode {
  if (status === 413) return "RDEV_TOO_LARGE";
  return status >= 500 ? "RDEV_UNREACHABLE" : "RDEV_REFUSED";
}
