import { randomUUID } from "node:crypto";
import { STATUS_CODES } from "node:http";
import type { Socket } from "node:net";
import cookie from "@fastify/cookie";
import rateLimit from "@fastify/rate-limit";
import fastify, {
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  LogController,
} from "fastify";
import { serializerCompiler, validatorCompiler } from "fastify-type-provider-zod";
import { InfraError } from "../../core/errors.ts";
import { tokenRoutes } from "../registry/token-routes.ts";
import { requireAccess } from "./access.ts";
import { InvalidTextError, invalidTextPaths } from "./invalid-text.ts";
import { logRequests } from "./log.ts";
import { measureRequests } from "./metrics.ts";
import { serveOpenApi } from "./openapi.ts";
import { DEFAULT_LIMITS, type ServiceOptions } from "./options.ts";
import { problemOf, problemOfStatus, problemRoutes } from "./problem.ts";
import { authRoutes } from "./routes/auth.ts";
import { auditRoutes } from "./routes/audit.ts";
import { driftRoutes } from "./routes/drift.ts";
import { errorCountRoutes } from "./routes/error-counts.ts";
import { forgeRoutes } from "./routes/forge.ts";
import { healthRoutes } from "./routes/health.ts";
import { logRoutes } from "./routes/logs.ts";
import { notificationRoutes } from "./routes/notifications.ts";
import { operationRoutes } from "./routes/operations.ts";
import { pageRoutes } from "./routes/page.ts";
import { projectRoutes } from "./routes/projects.ts";
import { sizeRoutes } from "./routes/sizes.ts";
import { statisticsRoutes } from "./routes/statistics.ts";
import { rolloutRequestRoutes } from "./routes/rollout-requests.ts";
import { rolloutRoutes } from "./routes/rollouts.ts";
import { templateRoutes } from "./routes/templates.ts";
import { PROBLEM_TYPE } from "./schemas/problem.ts";
import { refuseWrongMethods } from "./wrong-methods.ts";

/**
 * The HTTP API. `close()` refuses new requests, answers those under way, and ends event streams so
 * that their clients reconnect.
 */
export async function createService(options: ServiceOptions): Promise<FastifyInstance> {
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const shutdown = new AbortController();
  const app = fastify({
    loggerInstance: options.logger,
    logController: new LogController({
      disableRequestLogging: true,
      requestIdLogLabel: "request_id",
    }),
    genReqId: () => randomUUID(),
    bodyLimit: limits.bodyBytes,
    requestTimeout: limits.requestTimeoutMs,
    http: {
      // Node exchanges headersTimeout and requestTimeout if the first is longer.
      headersTimeout: limits.requestTimeoutMs,
      // Node's default is 30 s, so a request could take twice its timeout.
      connectionsCheckingInterval: Math.min(limits.requestTimeoutMs, 5_000),
    },
    return503OnClosing: false, // its answer is no problem document
    forceCloseConnections: "idle",
    trustProxy: options.trustedProxies ?? false,
    routerOptions: { maxParamLength: 200 },
    clientErrorHandler: refuseUnparsed,
    frameworkErrors: sendProblem,
  });
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);
  app.setErrorHandler(sendProblem);
  app.removeContentTypeParser("text/plain");
  app.addHook("preClose", async () => {
    shutdown.abort(restarting());
    // Otherwise a client that connects and sends nothing delays the shutdown forever.
    setTimeout(() => app.server.closeAllConnections(), limits.shutdownGraceMs).unref();
  });
  app.addHook("onRequest", async (request, reply) => {
    reply.header("x-request-id", request.id).header("x-content-type-options", "nosniff");
    if (shutdown.signal.aborted) {
      reply.header("connection", "close").header("retry-after", 1);
      if (request.routeOptions.url !== "/healthz") throw restarting();
    }
  });
  // A missing body counts as {}.
  app.addHook("preValidation", async (request) => {
    if (request.routeOptions.schema?.body) request.body ??= {};
    const { body, query, params, is404 } = request;
    if (!is404 && invalidTextPaths([body, query, params]).length > 0) throw new InvalidTextError();
  });
  await app.register(rateLimit, { global: false });
  await app.register(cookie);
  logRequests(app);
  measureRequests(app, options.metrics);
  const addWrongMethods = refuseWrongMethods(app);
  requireAccess(app, options, limits);
  app.setNotFoundHandler(async ({ method }) => {
    throw new InfraError("RDEV_NOT_FOUND", `No route matches this URL for ${method}.`);
  });

  await serveOpenApi(app);
  await app.register(projectRoutes(options));
  await app.register(templateRoutes(options));
  await app.register(sizeRoutes(options));
  await app.register(driftRoutes(options));
  await app.register(operationRoutes(options, limits, shutdown.signal));
  await app.register(logRoutes(options, limits, shutdown.signal));
  await app.register(errorCountRoutes(options));
  await app.register(rolloutRoutes(options, limits, shutdown.signal));
  await app.register(rolloutRequestRoutes(options));
  await app.register(authRoutes(options, limits));
  await app.register(auditRoutes(options));
  await app.register(notificationRoutes(options));
  await app.register(statisticsRoutes(options));
  await app.register(healthRoutes(options, limits, shutdown.signal));
  await app.register(tokenRoutes(options.tokenIssuer, limits));
  await app.register(forgeRoutes(options.forge, limits));
  await app.register(problemRoutes);
  await app.register(pageRoutes);
  addWrongMethods();
  return app;
}

function restarting(): InfraError {
  return new InfraError("RDEV_UNREACHABLE", "The service restarts. Try again.");
}

function sendProblem(error: unknown, request: FastifyRequest, reply: FastifyReply): void {
  const problem = problemOf(error, request);
  reply.header("x-request-id", request.id);
  void reply.code(problem.status).type(PROBLEM_TYPE).send(problem);
}

/** Answers data that Node could not parse as a request, on the bare socket. */
function refuseUnparsed(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === "ECONNRESET" || !socket.writable) return void socket.destroy();
  const status = PARSE_ERRORS[error.code ?? ""] ?? 400;
  const body = JSON.stringify(problemOfStatus(status, { id: randomUUID() }));
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\ncontent-type: ${PROBLEM_TYPE}\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
    () => socket.destroy(),
  );
}

const PARSE_ERRORS: Readonly<Record<string, number>> = {
  ERR_HTTP_REQUEST_TIMEOUT: 408,
  HPE_HEADER_OVERFLOW: 431,
};
