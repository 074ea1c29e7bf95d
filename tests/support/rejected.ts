import assert from "node:assert/strict";

/** The error of a failed operation, as the engine gets it. */
export interface Rejection extends Error {
  readonly id?: string;
  readonly properties?: Record<string, unknown>;
}

/** Returns the error of a promise, which must fail with a matching message. */
export async function rejected(promise: Promise<unknown>, message: RegExp): Promise<Rejection> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof Error, "it did not fail");
  assert.match(error.message, message);
  return error;
}
