import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { z } from "zod";
import type { AuditRow } from "../../store/schema.ts";
import { visibleProjects } from "../access.ts";
import type { ServiceOptions } from "../options.ts";
import { pageOf, pageQuery, toPage } from "../schemas/page.ts";
import { problemResponses } from "../schemas/problem.ts";

const auditEventSchema = z
  .object({
    id: z.int(),
    at: z.iso.datetime(),
    action: z.string().meta({ examples: ["project.create"] }),
    project: z
      .string()
      .optional()
      .meta({ description: "The project's slug.", examples: ["my-app"] }),
    actor: z
      .string()
      .meta({ description: "Who did it: the name of a key, a person, or a service account." }),
    component: z.string().meta({ examples: ["http"] }),
    result: z.enum(["started", "success", "failure"]).meta({
      description: "`started` is the intent, which is written before the work.",
    }),
    durationMs: z.number().optional(),
    details: z.record(z.string(), z.unknown()),
    hash: z.string().meta({ description: "Chains the event to the one before." }),
  })
  .meta({ id: "AuditEvent", description: "Who did what to which project, and the result." });

function auditView(row: AuditRow): z.output<typeof auditEventSchema> {
  const { id, at, action, actor, component, result, details, hash } = row;
  return {
    id,
    at: at.toISOString(),
    action,
    actor,
    component,
    result,
    details,
    hash,
    ...(row.project_id !== null && { project: row.project_id }),
    ...(row.duration_ms !== null && { durationMs: row.duration_ms }),
  };
}

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
