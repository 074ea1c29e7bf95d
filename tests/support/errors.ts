import assert from "node:assert/strict";
import { type ErrorCode, InfraError } from "../../core/errors.ts";

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
