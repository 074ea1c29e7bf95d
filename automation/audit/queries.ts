import { sql } from "kysely";
import type { AuditRow } from "../store/schema.ts";
import type { Store } from "../store/store.ts";

export interface ListOptions {
  /** A project's slug. */
  readonly project?: string;
  /** Only events of the last so many milliseconds. */
  readonly last?: number;
  /** Only operations without a result: they still run, or their process was killed. */
  readonly unfinished?: boolean;
  /** The newest ones are listed. */
  readonly limit: number;
}

/** Rows of the audit log, oldest first. */
export async function listAudit(
  store: Store,
  { project, last, unfinished, limit }: ListOptions,
): Promise<AuditRow[]> {
  const rows = await store.run((db) => {
    let query = db.selectFrom("audit_log").selectAll().orderBy("id", "desc").limit(limit);
    if (project !== undefined) query = query.where("project_id", "=", project);
    if (last !== undefined) query = query.where("at", ">=", new Date(Date.now() - last));
    if (unfinished) query = query.where("result", "=", "started").where(hasNoResult);
    return query.execute();
  });
  return rows.reverse();
}

const hasNoResult = sql<boolean>`NOT EXISTS (
  SELECT FROM audit_log AS ended
  WHERE ended.details ->> 'operation' = audit_log.details ->> 'operation'
    AND ended.action = audit_log.action
    AND ended.result <> 'started')`;

export interface AuditPage {
  readonly limit: number;
  /** Only events older than the one with this id. */
  readonly before?: number | undefined;
  /** Only events of these projects. */
  readonly projects?: readonly string[] | undefined;
  /** For example `project.create`. */
  readonly action?: string | undefined;
}

/** Rows of the audit log, newest first. */
export function auditPage(
  store: Store,
  { limit, before, projects, action }: AuditPage,
): Promise<AuditRow[]> {
  return store.run((db) => {
    let query = db.selectFrom("audit_log").selectAll().orderBy("id", "desc").limit(limit);
    if (before !== undefined) query = query.where("id", "<", before);
    if (projects) query = query.where("project_id", "in", projects);
    if (action !== undefined) query = query.where("action", "=", action);
    return query.execute();
  });
}

/** Which of the actions succeeded last for the project, or for the platform without `projectId`. */
export async function lastSuccess(
  store: Store,
  actions: readonly string[],
  projectId?: string,
): Promise<string | undefined> {
  const row = await store.run((db) =>
    db
      .selectFrom("audit_log")
      .select("action")
      .where("project_id", projectId === undefined ? "is" : "=", projectId ?? null)
      .where("action", "in", actions)
      .where("result", "=", "success")
      .orderBy("id", "desc")
      .limit(1)
      .executeTakeFirst(),
  );
  return row?.action;
}
