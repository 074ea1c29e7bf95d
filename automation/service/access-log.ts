import type { FastifyInstance } from "fastify";
import { InfraError, userMessage } from "../../core/errors.ts";

declare module "fastify" {
  interface FastifyContextConfig {
    /** It answers for as long as the client listens: that is not how slow it is. */
    streams?: boolean;
  }
  interface FastifyRequest {
    /** What the request is of, for the log. */
    about: { project?: string; operation?: string };
  }
}

/**
 * One line a request, in the fields that the platform's queries use: `component`, `duration_ms`,
 * `project_id`, `operation_id`. Neither headers nor bodies, and of the address only its pattern.
 */
export function logRequests(app: FastifyInstance): void {
  app.decorateRequest("about", null as never);
  app.addHook("onRequest", async (request) => {
    const { slug, id } = (request.params ?? {}) as { slug?: string; id?: string };
    request.about = {
      ...(slug !== undefined && { project: slug }),
      ...(id !== undefined && { operation: id }),
    };
  });
  app.addHook("onError", async (request, _reply, error) => {
    const isOurs = error instanceof InfraError;
    const isTheirs = isOurs ? error.code !== "RDEV_INTERNAL" : (error.statusCode ?? 500) < 500;
    request.log[isTheirs ? "warn" : "error"](
      {
        component: "http",
        code: isOurs ? error.code : error.code,
        ...(!isTheirs && { err: error }),
      },
      userMessage(error),
    );
  });
  app.addHook("onResponse", async (request, reply) => {
    const { method, routeOptions, key, about, ip } = request;
    const { statusCode: status } = reply;
    const route = routeOptions.url ?? "unknown address";
    const time = Math.round(reply.elapsedTime);
    request.log[status >= 500 ? "error" : "info"](
      {
        component: "http",
        ...{ method, route, status, address: ip },
        ...(routeOptions.config.streams ? { stream_ms: time } : { duration_ms: time }),
        ...(key && { key: key.name }),
        ...(about.project !== undefined && { project_id: about.project }),
        ...(about.operation !== undefined && { operation_id: about.operation }),
      },
      `${method} ${route} ${status}`,
    );
  });
}
