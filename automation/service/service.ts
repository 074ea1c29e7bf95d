import { randomUUID } from "node:crypto";
import type { Socket } from "node:net";
import { STATUS_CODES } from "node:http";
import rateLimit from "@fastify/rate-limit";
import fastify, {
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  LogController,
} from "fastify";
import { serializerCompiler, validatorCompiler } from "fastify-type-provider-zod";
import { InfraError } from "../../core/errors.ts";
import { logRequests } from "./access-log.ts";
import { guard } from "./access.ts";
import { IllFormedRequest, illFormedPaths } from "./ill-formed.ts";
import { measureRequests } from "./metrics.ts";
import { describeApi } from "./openapi.ts";
import { LIMITS, type ServiceParts } from "./parts.ts";
import { problemOf, problemOfStatus } from "./problem.ts";
import { auditRoutes } from "./routes/audit.ts";
import { tokenRoutes } from "../registry/token-routes.ts";
import { healthRoutes } from "./routes/health.ts";
import { operationRoutes } from "./routes/operations.ts";
import { problemRoutes } from "./routes/problems.ts";
import { projectRoutes } from "./routes/projects.ts";
import { PROBLEM_TYPE } from "./schemas/problem.ts";
import { refuseWrongMethods } from "./wrong-methods.ts";

/**
 * The API over HTTP. `close()` answers what is under way, ends streams of events with a hint to
 * connect again, and takes nothing new.
 */
export async function createService(parts: ServiceParts): Promise<FastifyInstance> {
  const limits = { ...LIMITS, ...parts.limits };
  const leaving = new AbortController();
  const app = fastify({
    loggerInstance: parts.logger,
    logController: new LogController({
      disableRequestLogging: true,
      requestIdLogLabel: "request_id",
    }),
    genReqId: () => randomUUID(),
    bodyLimit: limits.body,
    requestTimeout: limits.arrival,
    http: {
      headersTimeout: limits.arrival, // Node swaps the two where this one is longer
      // How often Node looks for requests that are late; its own 30 s is as long as they may take.
      connectionsCheckingInterval: Math.min(limits.arrival, 5_000),
    },
    return503OnClosing: false, // it would say so in a form of its own
    forceCloseConnections: "idle",
    trustProxy: parts.trustedProxies ?? false,
    routerOptions: { maxParamLength: 200 },
    clientErrorHandler: refuseRaw,
    frameworkErrors: tell,
  });
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);
  app.setErrorHandler(tell);
  app.removeContentTypeParser("text/plain");
  app.addHook("preClose", async () => {
    leaving.abort(goes());
    // Else a client that connected and asked for nothing would hold it up for ever.
    setTimeout(() => app.server.closeAllConnections(), limits.farewell).unref();
  });
  app.addHook("onRequest", async (request, reply) => {
    reply.header("x-request-id", request.id).header("x-content-type-options", "nosniff");
    if (leaving.signal.aborted) {
      reply.header("connection", "close").header("retry-after", 1);
      if (request.routeOptions.url !== "/healthz") throw goes();
    }
  });
  // An empty body is one without fields.
  app.addHook("preValidation", async (request) => {
    if (request.routeOptions.schema?.body) request.body ??= {};
    const { body, query, params, is404 } = request;
    if (!is404 && illFormedPaths([body, query, params]).length > 0) throw new IllFormedRequest();
  });
  await app.register(rateLimit, { global: false });
  logRequests(app);
  measureRequests(app, parts.metrics);
  const addWrongMethods = refuseWrongMethods(app);
  guard(app, parts, limits);
  app.setNotFoundHandler(async ({ method }) => {
    throw new InfraError("RDEV_NOT_FOUND", `There is nothing at this address for ${method}.`);
  });

  await describeApi(app);
  await app.register(projectRoutes(parts));
  await app.register(operationRoutes({ parts, limits, leaving: leaving.signal }));
  await app.register(auditRoutes(parts));
  await app.register(healthRoutes(parts, limits, leaving.signal));
  await app.register(tokenRoutes(parts.tokenIssuer, limits));
  await app.register(problemRoutes);
  addWrongMethods();
  return app;
}

function goes(): InfraError {
  return new InfraError("RDEV_UNREACHABLE", "The service restarts. Try again.");
}

function tell(error: unknown, request: FastifyRequest, reply: FastifyReply): void {
  const problem = problemOf(error, request);
  reply.header("x-request-id", request.id);
  void reply.code(problem.status).type(PROBLEM_TYPE).send(problem);
}

/** What Node could not read as a request, answered on the bare connection. */
function refuseRaw(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === "ECONNRESET" || !socket.writable) return void socket.destroy();
  const status = RAW[error.code ?? ""] ?? 400;
  const body = JSON.stringify(problemOfStatus(status, { id: randomUUID() }));
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\ncontent-type: ${PROBLEM_TYPE}\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
    () => socket.destroy(),
  );
}

const RAW: Readonly<Record<string, number>> = {
  ERR_HTTP_REQUEST_TIMEOUT: 408,
  HPE_HEADER_OVERFLOW: 431,
};
