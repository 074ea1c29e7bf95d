import type { FastifyInstance } from "fastify";
import { type LoggerOptions, stdTimeFunctions } from "pino";
import { InfraError, userMessage } from "../../core/errors.ts";

declare module "fastify" {
  interface FastifyContextConfig {
    /** The route may stream for as long as the client listens, so its duration is no response time. */
    streams?: boolean;
  }
  interface FastifyRequest {
    /** The project and operation that the request is about. */
    subject: { project?: string; operation?: string };
  }
}

/**
 * The service's log: one JSON object per line on stdout, with the fields `level`, `time` and `msg`
 * that the platform's log agent reads. Fields are never nested, because Citadel's queries cannot name
 * nested ones.
 */
export function logOptions(level: string): LoggerOptions {
  return {
    level,
    base: null,
    timestamp: stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    serializers: { err: stackOf, res: () => undefined, req: () => undefined },
  };
}

/** For the log only: clients never get a stack trace. */
function stackOf(error: unknown): string | undefined {
  return error instanceof Error ? error.stack : String(error);
}

/**
 * Logs one line per request, with the fields of the platform's log queries: `component`,
 * `duration_ms`, `project_id`, `operation_id`. Headers and bodies are left out, and the route's
 * pattern takes the place of the URL, because all of them may hold secrets.
 */
export function logRequests(app: FastifyInstance): void {
  app.decorateRequest("subject", null as never);
  app.addHook("onRequest", async (request) => {
    const { slug, id } = (request.params ?? {}) as { slug?: string; id?: string };
    request.subject = {
      ...(slug !== undefined && { project: slug }),
      ...(id !== undefined && { operation: id }),
    };
  });
  app.addHook("onError", async (request, _reply, error) => {
    const isClientError =
      error instanceof InfraError
        ? error.code !== "RDEV_INTERNAL"
        : (error.statusCode ?? 500) < 500;
    request.log[isClientError ? "warn" : "error"](
      { component: "http", code: error.code, ...(!isClientError && { err: error }) },
      userMessage(error),
    );
  });
  app.addHook("onResponse", async (request, reply) => {
    const { method, routeOptions, identity, subject, ip } = request;
    const { statusCode: status } = reply;
    const route = routeOptions.url ?? "unknown address";
    const time = Math.round(reply.elapsedTime);
    request.log[status >= 500 ? "error" : "info"](
      {
        component: "http",
        method,
        route,
        status,
        address: ip,
        ...(routeOptions.config.streams ? { stream_ms: time } : { duration_ms: time }),
        ...(identity && { actor: identity.actor }),
        ...(identity?.kind === "key" && { key: identity.actor }),
        ...(subject.project !== undefined && { project_id: subject.project }),
        ...(subject.operation !== undefined && { operation_id: subject.operation }),
      },
      `${method} ${route} ${status}`,
    );
  });
}
