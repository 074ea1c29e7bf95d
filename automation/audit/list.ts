import { sql } from "kysely";
import type { AuditRow } from "../store/schema.ts";
import type { Store } from "../store/store.ts";

export interface ListOptions {
  /** A project's slug. */
  readonly project?: string;
  /** The last so many ms. */
  readonly last?: number;
  /** Only what began and has not ended: it is still done, or whoever did it was killed. */
  readonly unfinished?: boolean;
  /** The newest so many. */
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
    if (unfinished) query = query.where("result", "=", "started").where(hasNoEnd);
    return query.execute();
  });
  return rows.reverse();
}

const hasNoEnd = sql<boolean>`NOT EXISTS (
  SELECT FROM audit_log AS ended
  WHERE ended.details ->> 'operation' = audit_log.details ->> 'operation'
    AND ended.action = audit_log.action
    AND ended.result <> 'started')`;
