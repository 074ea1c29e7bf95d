import type { ColumnType, Generated, Insertable, Selectable } from "kysely";

/** The service's own tables. `migrations/` makes them. */
export interface Schema {
  projects: ProjectsTable;
  audit_log: AuditLogTable;
  audit_outbox: AuditOutboxTable;
}

interface ProjectsTable {
  slug: string;
  platform: string;
  /** For people. */
  name: string;
  /** Its environment in Citadel; null until it has one. */
  citadel_tenant_id: string | null;
  created_at: Generated<Date>;
  updated_at: Generated<Date>;
}

/** Rows are added, and never changed or deleted. */
interface AuditLogTable {
  id: number;
  at: Date;
  action: string;
  project_id: string | null;
  actor: string;
  result: AuditResult;
  duration_ms: number | null;
  component: string;
  /** Written as JSON text, so that a list is not taken for an array of PostgreSQL's. */
  details: ColumnType<Record<string, unknown>, string, never>;
  prev_hash: string;
  hash: string;
}

/** `started` is the intent, written before the work; one of the others follows it. */
export type AuditResult = "started" | "success" | "failure";

/** What is still to be shipped, one row an event; what was shipped is deleted. */
interface AuditOutboxTable {
  audit_id: number;
  /** Events of one project are shipped in order. Empty for those of no project. */
  project_id: string;
  queued_at: Generated<Date>;
  attempts: Generated<number>;
  next_at: Generated<Date>;
  /** Kept aside since then: Citadel will never take it. */
  refused_at: Date | null;
  /** Why it was refused, or why the last attempt failed. */
  reason: string | null;
}

export type ProjectRow = Selectable<ProjectsTable>;
export type AuditRow = Selectable<AuditLogTable>;
export type NewAuditRow = Insertable<AuditLogTable>;
