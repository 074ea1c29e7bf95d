import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { z } from "zod";
import { demandPlatform } from "../access.ts";
import type { ServiceParts } from "../parts.ts";
import { problemResponse, problemResponses } from "../schemas/problem.ts";

const tags = ["health"];
const ok = z.object({ status: z.literal("ok") }).meta({ id: "Health" });

export function healthRoutes(
  { checkReady, metrics }: ServiceParts,
  leaving: AbortSignal,
): FastifyPluginAsyncZod {
  return async (app) => {
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
      async () => {
        if (leaving.aborted) throw leaving.reason;
        await checkReady();
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
