import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { z } from "zod";
import { visibleProjects } from "../access.ts";
import type { ServiceOptions } from "../options.ts";
import { auditEventSchema, auditView } from "../schemas/audit.ts";
import { pageOf, pageQuery, toPage } from "../schemas/page.ts";
import { problemResponses } from "../schemas/problem.ts";

export function auditRoutes({ auditPage }: ServiceOptions): FastifyPluginAsyncZod {
  return async (app) => {
    app.get(
      "/v1/audit",
      {
        config: { access: "admin" },
        schema: {
          tags: ["audit"],
          operationId: "listAudit",
          summary: "List the audit trail, newest first",
          querystring: z.strictObject({
            ...pageQuery("audit"),
            // Not slugSchema: the trail also has the invalid names of refused requests.
            project: z.string().min(1).max(200).optional().meta({
              description: "Only events of the project with this slug.",
            }),
            action: z
              .string()
              .min(1)
              .max(200)
              .optional()
              .meta({
                description: "Only events with this action.",
                examples: ["project.create"],
              }),
          }),
          response: {
            200: pageOf(auditEventSchema).meta({ id: "AuditPage" }),
            ...problemResponses(400),
          },
        },
      },
      async (request) => {
        const { limit, cursor, action } = request.query;
        const projects = visibleProjects(request, request.query.project);
        const before = cursor === undefined ? undefined : Number(cursor);
        const rows = await auditPage({ limit: limit + 1, before, projects, action });
        return toPage("audit", limit, rows, auditView, ({ id }) => String(id));
      },
    );
  };
}
