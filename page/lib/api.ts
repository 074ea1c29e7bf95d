import type { Problem, ProblemItem } from "../../automation/service/schemas/problem.ts";
import { pastedKey } from "./session.ts";

export type Query = Readonly<Record<string, string | number | boolean | undefined>>;

export interface CallOptions {
  readonly query?: Query;
  readonly body?: object;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

/** The service's refusal, or a lost connection: then the status is 0. */
export class ApiError extends Error {
  readonly status: number;
  readonly code: string;
  readonly items: readonly ProblemItem[];

  constructor({ status, code, detail, errors = [] }: Partial<Problem> & { detail: string }) {
    super(detail);
    this.status = status ?? 0;
    this.code = code ?? "RDEV_UNREACHABLE";
    this.items = errors;
  }
}

/** Called when the service does not know the caller any more. */
let onSignedOut: () => void = () => undefined;
export const whenSignedOut = (listener: () => void): void => void (onSignedOut = listener);

/**
 * Calls the service's API, with the pasted key or else with the session's cookie. Rejects with an
 * ApiError.
 */
export async function call<T>(
  method: "GET" | "POST" | "PUT" | "DELETE",
  path: string,
  options: CallOptions = {},
): Promise<T> {
  const answer = await send(method, path, options);
  if (answer.status === 204) return undefined as T;
  return (await answer.json().catch(lost(options.signal))) as T;
}

/** Fetches a file. Rejects with an ApiError. */
export async function fetchFile(path: string, query: Query): Promise<Blob> {
  const answer = await send("GET", path, { query });
  return answer.blob().catch(lost());
}

interface Begun {
  readonly key: string | null;
  readonly answer: Promise<Response>;
  /** In ms since 1970. */
  readonly at: number;
}

/** By address. */
const begun = new Map<string, Begun>();

/** In ms. An answer that nobody has taken for so long may be out of date. */
const FRESH = 10_000;

/** Begins a GET before the module is there that needs it: the first call of the same address takes the answer. */
export function begin(path: string, query: Query = {}): Promise<Response> {
  const key = pastedKey.get();
  const address = path + queryText(query);
  const answer = request(address, key, { method: "GET" });
  begun.set(address, { key, answer, at: Date.now() });
  return answer;
}

function take(address: string, key: string | null): Promise<Response> | undefined {
  const found = begun.get(address);
  begun.delete(address);
  return found?.key === key && Date.now() - found.at < FRESH ? found.answer : undefined;
}

function request(address: string, key: string | null, options: RequestInit): Promise<Response> {
  const headers = {
    ...(key !== null && { authorization: `Bearer ${key}` }),
    ...options.headers,
  };
  return fetch(address, { ...options, headers });
}

/** Like `call`, but the answer's body is not read yet. */
export async function send(
  method: string,
  path: string,
  { query = {}, body, headers, signal }: CallOptions = {},
): Promise<Response> {
  const key = pastedKey.get();
  const address = path + queryText(query);
  const early = method === "GET" ? take(address, key) : undefined;
  const answer = await (
    early ??
    request(address, key, {
      method,
      headers: { ...(body && { "content-type": "application/json" }), ...headers },
      ...(body && { body: JSON.stringify(body) }),
      ...(signal && { signal }),
    })
  ).catch(lost(signal));
  if (answer.ok) return answer;
  // A key that has ended would also be sent, and refused, after a sign-in at the provider.
  if (answer.status === 401 && key === pastedKey.get()) {
    pastedKey.remove();
    onSignedOut();
  }
  throw await errorOf(answer);
}

/** Turns a lost connection into an ApiError. An error after the caller's abort stays as it is. */
function lost(signal?: AbortSignal): (error: unknown) => never {
  return (error) => {
    if (signal?.aborted) throw error;
    throw new ApiError({ detail: "The service does not answer." });
  };
}

/** `?a=1&b=2`, or nothing. A value that is undefined or empty is left out. */
export function queryText(query: Query): string {
  const entries = Object.entries(query).flatMap(([name, value]): [string, string][] =>
    value === undefined || value === "" ? [] : [[name, String(value)]],
  );
  return entries.length === 0 ? "" : `?${new URLSearchParams(entries).toString()}`;
}

async function errorOf(answer: Response): Promise<ApiError> {
  const { status } = answer;
  const problem = (await answer.json().catch(() => ({}))) as Partial<Problem>;
  const detail = problem.detail ?? `The service answered with ${status}.`;
  return new ApiError({ ...problem, status, detail });
}
