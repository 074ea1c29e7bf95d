import assert from "node:assert/strict";

/** What the engine reads on an error of a create that failed half way. */
export interface HalfMade {
  readonly id: string;
  readonly properties: Record<string, unknown>;
  readonly reasons: string[];
}

/** The error that `work` must end with. */
export async function failureOf(work: Promise<unknown>): Promise<Error & Partial<HalfMade>> {
  try {
    await work;
  } catch (error) {
    assert(error instanceof Error);
    return error;
  }
  assert.fail("it did not fail");
}

/** As `failureOf`; its text begins with the code and holds none of the secrets. */
export async function fails(
  work: Promise<unknown>,
  code: string,
  secrets: readonly string[] = [],
): Promise<Error & Partial<HalfMade>> {
  const error = await failureOf(work);
  assert.match(error.message, new RegExp(`^${code}: `));
  for (const secret of secrets) {
    assert(!error.message.includes(secret), `a secret is in: ${error.message}`);
  }
  return error;
}
