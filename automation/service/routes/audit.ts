import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { z } from "zod";
import { demandProject, keyOf } from "../access.ts";
import { encodeCursor } from "../cursor.ts";
import type { ServiceParts } from "../parts.ts";
import { auditEventSchema, auditView } from "../schemas/audit.ts";
import { pageOf, pageQuery } from "../schemas/page.ts";
import { problemResponses } from "../schemas/problem.ts";

export function auditRoutes({ auditPage }: ServiceParts): FastifyPluginAsyncZod {
  return async (app) => {
    app.get(
      "/v1/audit",
      {
        config: { access: "admin" },
        schema: {
          ...{ tags: ["audit"], operationId: "listAudit" },
          summary: "The record of all that was done, newest first",
          querystring: z.strictObject({
            ...pageQuery("audit"),
            // Not a slug: the trail keeps the names of what was refused, too.
            project: z.string().min(1).max(200).optional().meta({
              description: "Only of the project of this slug.",
            }),
            action: z
              .string()
              .min(1)
              .max(200)
              .optional()
              .meta({
                description: "Only this.",
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
        demandProject(request, request.query.project);
        const project = request.query.project ?? keyOf(request).project ?? undefined;
        const before = cursor === undefined ? undefined : Number(cursor);
        const rows = await auditPage({ limit: limit + 1, before, project, action });
        const page = rows.slice(0, limit);
        const last = page.at(-1);
        return {
          items: page.map(auditView),
          ...(last && rows.length > limit && { next: encodeCursor("audit", String(last.id)) }),
        };
      },
    );
  };
}
