import { z } from "zod";
import type { AuditRow } from "../../store/schema.ts";

export const auditEventSchema = z
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

export type AuditEventView = z.output<typeof auditEventSchema>;

export function auditView(row: AuditRow): AuditEventView {
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
