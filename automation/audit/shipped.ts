import { sql } from "kysely";
import type { AuditRow } from "../store/schema.ts";
import type { Store, StoreTransaction } from "../store/store.ts";

/** Where events were shipped to. */
export interface ShippedTo {
  readonly platform: string;
  /** Its environment in Citadel. */
  readonly tenant: string;
}

/** Notes what Citadel took. An event that is shipped there once more keeps its first note. */
export async function noteShipped(
  transaction: StoreTransaction,
  rows: readonly AuditRow[],
  { platform, tenant }: ShippedTo,
): Promise<void> {
  if (rows.length === 0) return;
  await transaction
    .insertInto("audit_shipped")
    .values(rows.map(({ id, at }) => ({ audit_id: id, platform, tenant_id: tenant, at })))
    .onConflict((conflict) => conflict.doNothing())
    .execute();
}

/** A part of the audit log. */
export interface Part {
  readonly platform: string;
  /** Ids, both included. */
  readonly from: number;
  readonly to: number;
  /** No event of before. */
  readonly since: Date;
}

export interface ShippedEvent {
  readonly id: number;
  readonly tenant: string;
  /** When it was shipped last. */
  readonly shippedAt: Date;
}

/** What was shipped of a part, oldest first: also what is gone from the log. */
export async function shippedEvents(store: Store, part: Part): Promise<ShippedEvent[]> {
  const { platform, from, to, since } = part;
  const { rows } = await store.run((db) =>
    sql<ShippedEvent>`
      SELECT DISTINCT ON (audit_id) audit_id AS id, tenant_id AS tenant, shipped_at AS "shippedAt"
      FROM audit_shipped
      WHERE audit_id >= ${from} AND audit_id <= ${to} AND platform = ${platform} AND at >= ${since}
      ORDER BY audit_id, shipped_at DESC`.execute(db),
  );
  return rows;
}

/**
 * Ids of a part that neither wait to be shipped nor are known to have been: an older version shipped
 * them, which made no note, or they were recorded while Citadel was switched off.
 */
export async function withoutNote(store: Store, part: Part): Promise<number[]> {
  const { from, to, since } = part;
  const { rows } = await store.run((db) =>
    sql<{ id: number }>`
      SELECT id FROM audit_log l
      WHERE id >= ${from} AND id <= ${to} AND at >= ${since}
        AND NOT EXISTS (SELECT FROM audit_outbox WHERE audit_id = l.id)
        AND NOT EXISTS (SELECT FROM audit_shipped WHERE audit_id = l.id)`.execute(db),
  );
  return rows.map(({ id }) => id);
}
