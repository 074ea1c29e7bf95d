import type { FastifyInstance, FastifyRequest } from "fastify";

/** The events that can start a pipeline (model/const.go). */
export const EVENTS = [
  "push",
  "pull_request",
  "pull_request_closed",
  "pull_request_metadata",
  "tag",
  "release",
  "deployment",
  "cron",
  "manual",
] as const;

/** Ends a request with a status and a plain text, which may be empty, as the real server does. */
export class Refusal extends Error {
  readonly statusCode: number;

  constructor(statusCode: number, text = "", options?: ErrorOptions) {
    super(text, options);
    this.statusCode = statusCode;
  }
}

/** Answers failures as plain text. Unexpected errors become an empty 500, as in the real server. */
export function answerFailuresInText(app: FastifyInstance): void {
  app.setErrorHandler(async (error, _request, reply) => {
    if (error instanceof Refusal) return reply.code(error.statusCode).send(error.message);
    return reply.code(statusOf(error)).send("");
  });
  app.setNotFoundHandler(async (_request, reply) => reply.code(404).send("404 page not found"));
}

const MAX_PAGE_SIZE = 50; // Woodpecker's limit and default

/** One page of a list, by `page` and `perPage`. Values out of range are ignored. */
export function pageOf<T>(all: readonly T[], request: FastifyRequest): T[] {
  const query = request.query as { page?: string; perPage?: string };
  const page = Math.max(1, Number.parseInt(query.page ?? "", 10) || 1);
  const asked = Number.parseInt(query.perPage ?? "", 10);
  const size = asked >= 1 && asked <= MAX_PAGE_SIZE ? asked : MAX_PAGE_SIZE;
  return all.slice((page - 1) * size, page * size);
}

function statusOf(error: unknown): number {
  const status = (error as { statusCode?: unknown }).statusCode;
  return typeof status === "number" ? status : 500;
}
