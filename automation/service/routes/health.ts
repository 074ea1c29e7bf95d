import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { z } from "zod";
import { refuseExcess } from "../access.ts";
import { addressOf, limiter } from "../limiter.ts";
import type { ServiceLimits, ServiceOptions } from "../options.ts";
import { problemResponse, problemResponses } from "../schemas/problem.ts";

const tags = ["health"];
const ok = z.object({ status: z.literal("ok") }).meta({ id: "Health" });

export function healthRoutes(
  { checkReady, metrics }: ServiceOptions,
  limits: ServiceLimits,
  shutdown: AbortSignal,
): FastifyPluginAsyncZod {
  const isReady = cached(checkReady);
  return async (app) => {
    const probes = limiter(app, limits.probesPerMinute, addressOf);
    app.get(
      "/healthz",
      {
        config: { access: "open" },
        schema: {
          tags,
          operationId: "getHealth",
          security: [],
          summary: "Whether the process is alive",
          response: { 200: ok, "4XX": problemResponse("The request is malformed.") },
        },
      },
      async () => ({ status: "ok" as const }),
    );

    app.get(
      "/readyz",
      {
        config: { access: "open" },
        schema: {
          tags,
          operationId: "getReadiness",
          security: [],
          summary: "Whether the service can work: the database answers and is migrated",
          response: {
            200: ok,
            "4XX": problemResponse("The request is malformed."),
            503: problemResponse("The service is not ready."),
          },
        },
      },
      async (request, reply) => {
        refuseExcess(reply, await probes.count(request), "from this address");
        if (shutdown.aborted) throw shutdown.reason;
        await isReady();
        return { status: "ok" as const };
      },
    );

    app.get(
      "/metrics",
      {
        config: { access: "viewer", allProjects: true },
        schema: {
          tags,
          operationId: "getMetrics",
          summary: "Metrics in the text format of Prometheus",
          response: {
            200: { description: "Metrics.", content: { "text/plain": { schema: z.string() } } },
            ...problemResponses(),
          },
        },
      },
      async (_request, reply) => {
        const text = await metrics.metrics();
        return reply.header("content-type", metrics.contentType).serializer(String).send(text);
      },
    );
  };
}

const CACHE_MS = 1_000;

/** Probes need no key, so the database must not pay for each: one check at a time, and one a second. */
function cached(check: () => Promise<void>): () => Promise<void> {
  let pending: Promise<void> | undefined;
  let succeededAt = -Infinity;
  return async () => {
    if (performance.now() - succeededAt < CACHE_MS) return;
    pending ??= check()
      .then(() => void (succeededAt = performance.now()))
      .finally(() => (pending = undefined));
    await pending;
  };
}
