import assert from "node:assert/strict";
import type { ErrorCode } from "../../core/errors.ts";
import { rejected, type Rejection } from "./rejected.ts";

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
