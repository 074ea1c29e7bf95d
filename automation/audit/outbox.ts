import { sql } from "kysely";
import type { Registry } from "prom-client";
import { type Backlog, backlogOf } from "../store/backlog.ts";
import { registerGauges } from "../store/gauges.ts";
import type { AuditRow } from "../store/schema.ts";
import type { Store, StoreTransaction } from "../store/store.ts";
import { cleanText } from "./details.ts";

/** The advisory lock of the active shipper. The number is arbitrary, and the same in all processes. */
const SHIPPER_LOCK = 7_274_003;

/** The longest time in ms between two attempts, even if Citadel asks for more. */
export const MAX_WAIT = 15 * 60_000;

/** An event in the outbox. */
export interface QueuedRow extends AuditRow {
  /** Failed attempts so far. */
  readonly attempts: number;
}

interface RefusedRow {
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

/** Tries to take the shipper's lock. Two active shippers could reorder a project's events. */
export async function tryShipperLock(transaction: StoreTransaction): Promise<boolean> {
  const { rows } = await sql<{ locked: boolean }>`
    SELECT pg_try_advisory_xact_lock(${SHIPPER_LOCK}) AS locked`.execute(transaction);
  return rows[0]!.locked;
}

/**
 * The events to ship now, oldest first. If one event of a project waits for its next attempt, all of
 * the project's events wait, which keeps their order. A wait above MAX_WAIT is ignored, because only
 * a clock that was set back causes it.
 */
export async function dueRows(transaction: StoreTransaction, limit: number): Promise<QueuedRow[]> {
  const { rows } = await sql<QueuedRow>`
    SELECT l.*, o.attempts FROM audit_outbox o JOIN audit_log l ON l.id = o.audit_id
    WHERE o.refused_at IS NULL AND o.project_id <> ALL (ARRAY(
      SELECT w.project_id FROM audit_outbox w
      WHERE w.refused_at IS NULL
        AND w.next_at > now() AND w.next_at <= now() + ${MAX_WAIT} * interval '1 ms'))
    ORDER BY o.audit_id LIMIT ${limit}`.execute(transaction);
  return rows;
}

export interface Destination {
  readonly platform: string;
  /** The id of the Citadel tenant. */
  readonly tenant: string;
}

/** Removes shipped events from the outbox, and records where they were shipped to. */
export async function markShipped(
  transaction: StoreTransaction,
  rows: readonly AuditRow[],
  { platform, tenant }: Destination,
): Promise<void> {
  if (rows.length === 0) return;
  await transaction
    .insertInto("audit_shipped")
    .values(rows.map(({ id, at }) => ({ audit_id: id, platform, tenant_id: tenant, at })))
    // An event that is shipped again keeps its first time.
    .onConflict((conflict) => conflict.doNothing())
    .execute();
  const ids = rows.map(({ id }) => id);
  await transaction.deleteFrom("audit_outbox").where("audit_id", "in", ids).execute();
}

/** Schedules the next attempt in `wait` ms. */
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
      // Not now(), which is the start of the transaction: Citadel may have taken long since.
      next_at: sql<Date>`clock_timestamp() + ${wait} * interval '1 ms'`,
      reason: cleanText(reason),
    }))
    .where("audit_id", "=", id)
    .execute();
}

/** Marks an event as refused for good. It stays in the outbox until `requeueRefused`. */
export async function markRefused(
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

/** Queues all refused events again. Returns how many. */
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

/** Oldest first. */
export async function refusedRows(store: Store): Promise<RefusedRow[]> {
  const { rows } = await store.run((db) =>
    sql<RefusedRow>`
      SELECT l.id, l.action, l.project_id AS "projectId", o.refused_at AS "refusedAt", o.reason
      FROM audit_outbox o JOIN audit_log l ON l.id = o.audit_id
      WHERE o.refused_at IS NOT NULL ORDER BY l.id`.execute(db),
  );
  return rows;
}

interface AuditBacklog extends Omit<Backlog, "ended"> {
  /** Events that Citadel refused for good. They stay in the outbox. */
  readonly refused: number;
}

/** Counts the events that wait to be shipped. */
export async function backlog(store: Store): Promise<AuditBacklog> {
  const outbox = { table: "audit_outbox", at: "queued_at", ended: "refused_at" };
  const { ended: refused, ...counts } = await backlogOf(store, outbox);
  return { ...counts, refused };
}

const GAUGES = [
  {
    name: "rdev_audit_outbox_backlog",
    help: "Audit events that wait to be shipped to Citadel.",
    field: "waiting",
  },
  {
    name: "rdev_audit_outbox_oldest_seconds",
    help: "Age of the oldest audit event that waits to be shipped; 0 if none waits.",
    field: "oldestSeconds",
  },
  {
    name: "rdev_audit_outbox_refused",
    help: "Audit events that Citadel refused for good. They stay in the outbox.",
    field: "refused",
  },
] as const;

/** Registers gauges of the outbox. Each scrape counts the rows; a gauge is NaN if PostgreSQL is down. */
export function registerAuditMetrics(registry: Registry, store: Store): void {
  registerGauges<AuditBacklog>(registry, GAUGES, () => backlog(store));
}
