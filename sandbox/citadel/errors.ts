import type { FastifyInstance } from "fastify";
import { z } from "zod";

/** An answer `{error, …}` with a status. */
export class CitadelError extends Error {
  readonly statusCode: number;
  /** More properties of the answer, beside `error`. */
  readonly extra: Record<string, unknown>;

  constructor(statusCode: number, message: string, extra: Record<string, unknown> = {}) {
    super(message);
    this.name = "CitadelError";
    this.statusCode = statusCode;
    this.extra = extra;
  }
}

/** Every failure is JSON `{error}`, Fastify's own (413, 415, broken JSON) included. */
export function answerFailuresInJson(app: FastifyInstance): void {
  app.setErrorHandler(async (error: Error, _request, reply) => {
    const { statusCode = 500 } = error as { statusCode?: number };
    const extra = error instanceof CitadelError ? error.extra : {};
    return reply.code(statusCode).send({ error: error.message, ...extra });
  });
  app.setNotFoundHandler(async (request, reply) =>
    reply.code(404).send({ error: `no such call: ${request.method} ${request.url}` }),
  );
}

const MAX_PROBLEMS = 10; // of a batch in which every event is wrong, to keep the answer small

/** @throws CitadelError with `status`, naming what is wrong with the body. */
export function parseBody<T>(schema: z.ZodType<T>, body: unknown, status: number): T {
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues
    .slice(0, MAX_PROBLEMS)
    .map(({ path, message }) => `${z.core.toDotPath(path) || "body"}: ${message}`);
  throw new CitadelError(status, problems.join("; "));
}
