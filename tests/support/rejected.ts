import assert from "node:assert/strict";

/** What a failed operation gives to the engine. */
export interface Rejection extends Error {
  readonly id?: string;
  readonly properties?: Record<string, unknown>;
}

/** The error of a promise that must fail, with a message that matches. */
export async function rejected(promise: Promise<unknown>, message: RegExp): Promise<Rejection> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof Error, "it did not fail");
  assert.match(error.message, message);
  return error;
}
