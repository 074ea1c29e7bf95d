import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { z } from "zod";
import { visibleProjects } from "../access.ts";
import type { ServiceOptions } from "../options.ts";
import { problemResponses } from "../schemas/problem.ts";
import { statisticsSchema } from "../schemas/statistics.ts";

const HOUR = 3_600_000;

/** The periods of each range: few enough for a chart. */
const RANGES = {
  "24h": { periods: 24, periodMs: HOUR },
  "7d": { periods: 28, periodMs: 6 * HOUR },
  "30d": { periods: 30, periodMs: 24 * HOUR },
  "90d": { periods: 90, periodMs: 24 * HOUR },
} as const;

export function statisticsRoutes({ statistics }: ServiceOptions): FastifyPluginAsyncZod {
  return async (app) => {
    app.get(
      "/v1/statistics",
      {
        config: { access: "viewer" },
        schema: {
          tags: ["operations"],
          operationId: "getStatistics",
          summary: "Count operations and projects over time",
          description: "A caller that is bound to projects gets the numbers of these projects.",
          querystring: z.strictObject({
            range: z
              .enum(Object.keys(RANGES) as (keyof typeof RANGES)[])
              .default("24h")
              .meta({ description: "How far back." }),
          }),
          response: { 200: statisticsSchema, ...problemResponses(400) },
        },
      },
      async (request) => {
        const slugs = visibleProjects(request, undefined);
        const { periods, periodMs } = RANGES[request.query.range];
        // Full periods, except for the last one, which ends in the future.
        const end = Math.floor(Date.now() / periodMs + 1) * periodMs;
        const from = new Date(end - periods * periodMs);
        const found = await statistics({ from, periods, periodMs, slugs });
        return {
          periodMs,
          periods: found.map(({ at, ...row }) => ({ at: at.toISOString(), ...row })),
        };
      },
    );
  };
}
