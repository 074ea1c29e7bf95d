import { randomUUID } from "node:crypto";
import rateLimit from "@fastify/rate-limit";
import fastify, { type FastifyBaseLogger, LogController } from "fastify";
import { serializerCompiler, validatorCompiler } from "fastify-type-provider-zod";
import { InfraError } from "../../core/errors.ts";
import { logRequests } from "../service/log.ts";
import { DEFAULT_LIMITS } from "../service/options.ts";
import { problemOf } from "../service/problem.ts";
import { PROBLEM_TYPE } from "../service/schemas/problem.ts";
import { refuseWrongMethods } from "../service/wrong-methods.ts";
import type { TokenIssuer } from "./token-issuer.ts";
import { type TokenLimits, tokenRoutes } from "./token-routes.ts";

interface ServeTokensOptions {
  readonly issuer: TokenIssuer;
  readonly host: string;
  /** 0 for a free port. */
  readonly port: number;
  readonly logger: FastifyBaseLogger;
  /** Default: those of the service. */
  readonly limits?: TokenLimits;
}

interface TokenServer {
  /** For example `http://127.0.0.1:8081`. */
  readonly url: string;
  close(): Promise<void>;
}

/** Serves the registry's token routes, for a platform that runs without the service. */
export async function serveTokens(options: ServeTokensOptions): Promise<TokenServer> {
  const { issuer, host, port, logger, limits = DEFAULT_LIMITS } = options;
  const app = fastify({
    loggerInstance: logger,
    logController: new LogController({
      disableRequestLogging: true,
      requestIdLogLabel: "request_id",
    }),
    genReqId: () => randomUUID(),
    bodyLimit: DEFAULT_LIMITS.bodyBytes,
    requestTimeout: DEFAULT_LIMITS.requestTimeoutMs,
    forceCloseConnections: true,
  });
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);
  app.setErrorHandler((error, request, reply) => {
    const problem = problemOf(error, request);
    void reply.code(problem.status).type(PROBLEM_TYPE).send(problem);
  });
  app.setNotFoundHandler(async ({ method }) => {
    throw new InfraError("RDEV_NOT_FOUND", `There is nothing at this address for ${method}.`);
  });
  await app.register(rateLimit, { global: false });
  logRequests(app);
  const addWrongMethods = refuseWrongMethods(app);
  await app.register(tokenRoutes(issuer, limits));
  app.get("/healthz", { config: { access: "open" } }, async () => ({ status: "ok" }));
  addWrongMethods();
  return { url: await app.listen({ host, port }), close: () => app.close() };
}
