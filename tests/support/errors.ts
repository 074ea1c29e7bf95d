import assert from "node:assert/strict";
import { type ErrorCode, InfraError } from "../../core/errors.ts";

/** The error of a failed operation, as the engine gets it. */
export interface Rejection extends Error {
  readonly id?: string;
  readonly properties?: Record<string, unknown>;
}

/** Returns the InfraError of a function. Fails if it throws none, or another code. */
export function thrown(code: ErrorCode, act: () => unknown): InfraError {
  try {
    act();
  } catch (error) {
    assert.ok(error instanceof InfraError, `no InfraError: ${String(error)}`);
    assert.equal(error.code, code);
    return error;
  }
  assert.fail(`nothing was thrown, wanted ${code}`);
}

/** Returns the error of a promise, which must fail with a matching message. */
export async function rejected(promise: Promise<unknown>, message: RegExp): Promise<Rejection> {
  const error = await failureOf(promise);
  assert.ok(error instanceof Error, "it did not fail");
  assert.match(error.message, message);
  return error;
}

/** Like `rejected`. The message must begin with the code and contain none of the secrets. */
export async function fails(
  work: Promise<unknown>,
  code: ErrorCode,
  secrets: readonly string[] = [],
): Promise<Rejection> {
  const error = await rejected(work, new RegExp(`^${code}: `));
  for (const secret of secrets) {
    assert.ok(!error.message.includes(secret), `a secret is in: ${error.message}`);
  }
  return error;
}

/** Puts the code of a rejection before its message, as users see it. */
export function coded<T>(work: Promise<T>): Promise<T> {
  return work.catch((error: Error) => {
    throw new Error(`${error.name}: ${error.message}`, { cause: error });
  });
}

/** The Kubernetes API server's message for a refused call. Throws if the call was not refused. */
export async function refused(call: Promise<unknown>): Promise<string> {
  const error = await failureOf(call);
  if (error === undefined) throw new Error("the server did not refuse it");
  // Unit tests use this module as well. For them, loading the client would take too long.
  const { ApiException } = await import("@kubernetes/client-node");
  if (!(error instanceof ApiException)) throw error as Error;
  const body: unknown = error.body;
  const status = typeof body === "string" ? (JSON.parse(body) as unknown) : body;
  return (status as { message?: string }).message ?? "";
}

function failureOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => undefined,
    (error: unknown) => error,
  );
}
