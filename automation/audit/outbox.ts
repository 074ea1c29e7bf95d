import { sql } from "kysely";
import type { AuditRow } from "../store/schema.ts";
import type { Store, StoreTransaction } from "../store/store.ts";
import { MAX_WAIT } from "./backoff.ts";
import { cleanText } from "./details.ts";

/** Any number, the same for all who ship. */
const SHIPPER_LOCK = 7_274_003;

/** An event that waits to be shipped. */
export interface Queued extends AuditRow {
  /** That failed so far. */
  readonly attempts: number;
}

export interface Backlog {
  /** Events that wait. */
  readonly waiting: number;
  /** Since the oldest of them was written; 0 where none waits. */
  readonly oldestSeconds: number;
  /** Events that are kept aside: Citadel will never take them. */
  readonly refused: number;
}

export interface RefusedRow {
  readonly id: number;
  readonly action: string;
  readonly projectId: string | null;
  readonly refusedAt: Date;
  readonly reason: string;
}

export async function enqueue(transaction: StoreTransaction, row: AuditRow): Promise<void> {
  await transaction
    .insertInto("audit_outbox")
    .values({ audit_id: row.id, project_id: row.project_id ?? "" })
    .execute();
}

/** Whether this transaction is the one that may ship now. Two at once could overtake each other. */
export async function becomeShipper(transaction: StoreTransaction): Promise<boolean> {
  const { rows } = await sql<{ mine: boolean }>`
    SELECT pg_try_advisory_xact_lock(${SHIPPER_LOCK}) AS mine`.execute(transaction);
  return rows[0]!.mine;
}

/**
 * What is to be shipped now, oldest first. A project with an event that waits for its next attempt is
 * left out whole. A wait longer than the longest there is comes from a clock that jumped.
 */
export async function due(transaction: StoreTransaction, limit: number): Promise<Queued[]> {
  const { rows } = await sql<Queued>`
    SELECT l.*, o.attempts FROM audit_outbox o JOIN audit_log l ON l.id = o.audit_id
    WHERE o.refused_at IS NULL AND o.project_id <> ALL (ARRAY(
      SELECT w.project_id FROM audit_outbox w
      WHERE w.refused_at IS NULL
        AND w.next_at > now() AND w.next_at <= now() + ${MAX_WAIT} * interval '1 ms'))
    ORDER BY o.audit_id LIMIT ${limit}`.execute(transaction);
  return rows;
}

export async function remove(transaction: StoreTransaction, ids: readonly number[]): Promise<void> {
  if (ids.length === 0) return;
  await transaction.deleteFrom("audit_outbox").where("audit_id", "in", ids).execute();
}

/** Another attempt, not before so many ms. */
export async function postpone(
  transaction: StoreTransaction,
  id: number,
  wait: number,
  reason: string,
): Promise<void> {
  await transaction
    .updateTable("audit_outbox")
    .set(({ eb }) => ({
      attempts: eb("attempts", "+", 1),
      // Not now(): that is when the transaction began, and Citadel may have taken long.
      next_at: sql<Date>`clock_timestamp() + ${wait} * interval '1 ms'`,
      reason: cleanText(reason),
    }))
    .where("audit_id", "=", id)
    .execute();
}

/** Keeps an event aside for good. */
export async function setAside(
  transaction: StoreTransaction,
  id: number,
  reason: string,
): Promise<void> {
  await transaction
    .updateTable("audit_outbox")
    .set({ refused_at: sql<Date>`now()`, reason: cleanText(reason) })
    .where("audit_id", "=", id)
    .execute();
}

export async function backlog(store: Store): Promise<Backlog> {
  const { rows } = await store.run((db) =>
    sql<Backlog>`
      SELECT count(*) FILTER (WHERE refused_at IS NULL) AS waiting,
             count(*) FILTER (WHERE refused_at IS NOT NULL) AS refused,
             greatest(0, coalesce(
               extract(epoch FROM now() - min(queued_at) FILTER (WHERE refused_at IS NULL)), 0
             ))::float AS "oldestSeconds"
      FROM audit_outbox`.execute(db),
  );
  return rows[0]!;
}

/** What is kept aside, oldest first. */
export async function refusedRows(store: Store): Promise<RefusedRow[]> {
  const { rows } = await store.run((db) =>
    sql<RefusedRow>`
      SELECT l.id, l.action, l.project_id AS "projectId", o.refused_at AS "refusedAt", o.reason
      FROM audit_outbox o JOIN audit_log l ON l.id = o.audit_id
      WHERE o.refused_at IS NOT NULL ORDER BY l.id`.execute(db),
  );
  return rows;
}

/** Puts what was kept aside back among what waits. Answers with how many events. */
export async function requeueRefused(store: Store): Promise<number> {
  const { numUpdatedRows } = await store.run((db) =>
    db
      .updateTable("audit_outbox")
      .set({ refused_at: null, reason: null, attempts: 0, next_at: sql<Date>`'-infinity'` })
      .where("refused_at", "is not", null)
      .executeTakeFirst(),
  );
  return Number(numUpdatedRows);
}
