import { randomBytes } from "node:crypto";
import type { FastifyInstance } from "fastify";
import { z } from "zod";

/** An answer `{error, …}` with a status. */
export class CitadelError extends Error {
  readonly statusCode: number;
  /** Further properties of the answer, beside `error`. */
  readonly extra: Record<string, unknown>;

  constructor(statusCode: number, message: string, extra: Record<string, unknown> = {}) {
    super(message);
    this.name = "CitadelError";
    this.statusCode = statusCode;
    this.extra = extra;
  }
}

/** Answers every failure with JSON `{error}`, including Fastify's own (413, 415, malformed JSON). */
export function answerFailuresInJson(app: FastifyInstance): void {
  app.setErrorHandler(async (error: Error & { statusCode?: number }, _request, reply) => {
    const extra = error instanceof CitadelError ? error.extra : {};
    return reply.code(error.statusCode ?? 500).send({ error: error.message, ...extra });
  });
  app.setNotFoundHandler(async (request, reply) =>
    reply.code(404).send({ error: `no such call: ${request.method} ${request.url}` }),
  );
}

const MAX_PROBLEMS = 10; // keeps the answer small when every event of a batch is wrong

/** @throws CitadelError with `status`; its message names the wrong properties of the body. */
export function parseBody<T>(schema: z.ZodType<T>, body: unknown, status: number): T {
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues
    .slice(0, MAX_PROBLEMS)
    .map(({ path, message }) => `${z.core.toDotPath(path) || "body"}: ${message}`);
  throw new CitadelError(status, problems.join("; "));
}

/** The permission of a key. `environments` covers tenants, groups and webhooks; `query` also annotations. */
export type KeyScope = "environments" | "ingest" | "query";

/** The API keys of the organization. */
export class Keys {
  readonly #scopes = new Map<string, readonly KeyScope[]>();

  /** Makes a key: `ck_live_…` for the name `live`. */
  issue(name: string, scopes: readonly KeyScope[]): string {
    const key = `ck_${name}_${randomBytes(20).toString("hex")}`;
    this.#scopes.set(key, scopes);
    return key;
  }

  /** @throws CitadelError 401 without a valid key, 403 for a key without the scope. */
  require(authorization: string | undefined, scope: KeyScope): void {
    const scopes = this.#scopes.get(/^Bearer (ck_\S+)$/.exec(authorization ?? "")?.[1] ?? "");
    if (!scopes) throw new CitadelError(401, "the API key is missing or not valid");
    if (!scopes.includes(scope)) {
      throw new CitadelError(403, `this API key has no scope "${scope}"`);
    }
  }
}

/** Requires the scope for every call of `app`, before the body is read. */
export function requireScope(app: FastifyInstance, keys: Keys, scope: KeyScope): void {
  app.addHook("onRequest", async (request) => keys.require(request.headers.authorization, scope));
}
