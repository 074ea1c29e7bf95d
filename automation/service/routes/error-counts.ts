import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { requireProject } from "../access.ts";
import type { ServiceOptions } from "../options.ts";
import { errorCounts, errorCountsQuery } from "../schemas/error-counts.ts";
import { problemResponses } from "../schemas/problem.ts";

export function errorCountRoutes(options: ServiceOptions): FastifyPluginAsyncZod {
  return async (app) => {
    app.get(
      "/v1/logs/errors",
      {
        config: { access: "viewer" },
        schema: {
          tags: ["logs"],
          operationId: "countErrors",
          summary: "Count the errors of projects in the last hour",
          description: "A count is at most 30 s old. If Citadel is away, the list is empty.",
          querystring: errorCountsQuery,
          response: { 200: errorCounts, ...problemResponses(400) },
        },
      },
      async (request) => {
        const { slugs } = request.query;
        for (const slug of slugs) requireProject(request, slug);
        if (!options.errorCounts) return { items: [] };
        const found = await options.projects.list({ slugs, limit: slugs.length });
        const logging = found.flatMap(({ slug, status, citadelTenantId: tenant }) =>
          tenant === null || status === "deleted" ? [] : [{ slug, tenant }],
        );
        const counts = await options.errorCounts.of(logging.map(({ tenant }) => tenant));
        const items = logging.flatMap(({ slug, tenant }) => {
          const errors = counts.get(tenant);
          return errors === undefined ? [] : [{ slug, errors }];
        });
        return { items };
      },
    );
  };
}
