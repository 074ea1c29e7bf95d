import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { z } from "zod";
import { demandPlatform, tooMany } from "../access.ts";
import { addressOf, limiter } from "../limiter.ts";
import type { Limits, ServiceParts } from "../parts.ts";
import { problemResponse, problemResponses } from "../schemas/problem.ts";

const tags = ["health"];
const ok = z.object({ status: z.literal("ok") }).meta({ id: "Health" });

export function healthRoutes(
  { checkReady, metrics }: ServiceParts,
  limits: Limits,
  leaving: AbortSignal,
): FastifyPluginAsyncZod {
  const isReady = shared(checkReady);
  return async (app) => {
    const probes = limiter(app, limits.probes, addressOf);
    app.get(
      "/healthz",
      {
        config: { access: "open" },
        schema: {
          ...{ tags, operationId: "getHealth", security: [] },
          summary: "Whether the process is alive",
          response: { 200: ok, "4XX": problemResponse("Not what the service takes.") },
        },
      },
      async () => ({ status: "ok" as const }),
    );

    app.get(
      "/readyz",
      {
        config: { access: "open" },
        schema: {
          ...{ tags, operationId: "getReadiness", security: [] },
          summary: "Whether the database answers and is migrated, and requests may come",
          response: {
            200: ok,
            "4XX": problemResponse("Not what the service takes."),
            503: problemResponse("Not now."),
          },
        },
      },
      async (request, reply) => {
        const { isExceeded, retryAfter } = await probes.count(request);
        if (isExceeded) throw tooMany(reply, retryAfter, "from this address");
        if (leaving.aborted) throw leaving.reason;
        await isReady();
        return { status: "ok" as const };
      },
    );

    app.get(
      "/metrics",
      {
        config: { access: "viewer" },
        schema: {
          ...{ tags, operationId: "getMetrics" },
          summary: "Metrics, in the text format of Prometheus",
          response: {
            200: { description: "Metrics.", content: { "text/plain": { schema: z.string() } } },
            ...problemResponses(),
          },
        },
      },
      async (request, reply) => {
        demandPlatform(request);
        const text = await metrics.metrics();
        return reply.header("content-type", metrics.contentType).serializer(String).send(text);
      },
    );
  };
}

/** In ms: for how long an answer holds, whoever asks. */
const FRESH = 1_000;

/** Everybody may ask: the database is asked once at a time, and once a second while it answers. */
function shared(check: () => Promise<void>): () => Promise<void> {
  let asked: Promise<void> | undefined;
  let good = -Infinity;
  return async () => {
    if (performance.now() - good < FRESH) return;
    asked ??= check()
      .then(() => void (good = performance.now()))
      .finally(() => (asked = undefined));
    await asked;
  };
}
