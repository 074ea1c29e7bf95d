import type { AuditRow } from "../store/schema.ts";
import type { Store } from "../store/store.ts";

export interface AuditPage {
  readonly limit: number;
  /** Only events before that of this id. */
  readonly before?: number | undefined;
  /** A project's slug. */
  readonly project?: string | undefined;
  /** As `project.create`. */
  readonly action?: string | undefined;
}

/** Rows of the audit log, newest first. */
export function auditPage(
  store: Store,
  { limit, before, project, action }: AuditPage,
): Promise<AuditRow[]> {
  return store.run((db) => {
    let query = db.selectFrom("audit_log").selectAll().orderBy("id", "desc").limit(limit);
    if (before !== undefined) query = query.where("id", "<", before);
    if (project !== undefined) query = query.where("project_id", "=", project);
    if (action !== undefined) query = query.where("action", "=", action);
    return query.execute();
  });
}
