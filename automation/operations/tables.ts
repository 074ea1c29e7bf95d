import { type Insertable, type Kysely, sql, type Updateable } from "kysely";
import type { NumberedEvent, Operation, OperationState } from "../../core/operation.ts";
import { jsonText, type OperationRow, type Schema } from "../store/schema.ts";
import type { Store, StoreTransaction } from "../store/store.ts";
import type { Fact } from "../worker/messages.ts";
import { notify } from "./notifier.ts";
import type { RunnerIdentity } from "./runner-identity.ts";

// The tables `operations`, `operation_attempts` and `operation_events`. No other module writes to them.

/** How long ended operations are kept, with their events and Idempotency-Keys. */
const RETENTION = "90 days";
/** The same for the operations of a look at all projects. The project's record has their result. */
const RETENTION_OF_LOOKS = "2 days";
/** Only the newest attempts at operations of a stack can have left a lock. */
const MAX_PAST_ATTEMPTS = 50;

export const OPEN_STATES: readonly OperationState[] = ["queued", "running", "cancelling"];

/** Leaves out the operations of a look at all projects, which are many, and which nobody waits for. */
export const isNoLook = sql<boolean>`request -> 'drift' ->> 'run' IS NULL`;

export function isOpen(state: OperationState): boolean {
  return OPEN_STATES.includes(state);
}

export function operationOf(row: OperationRow): Operation {
  return {
    id: row.id,
    platform: row.platform,
    slug: row.slug,
    request: row.request,
    state: row.state,
    actor: row.actor,
    attempts: row.attempts,
    createdAt: row.created_at,
    startedAt: row.started_at,
    endedAt: row.ended_at,
    outcome: row.outcome,
    remaining: row.remaining,
  };
}

/** The row stays locked until the end of the transaction. */
export function lockedRow(db: Kysely<Schema>, id: string): Promise<OperationRow | undefined> {
  return db
    .selectFrom("operations")
    .selectAll()
    .where("id", "=", id)
    .forUpdate()
    .executeTakeFirst();
}

/** Undefined if the actor has used the Idempotency-Key already. */
export async function insertOperation(
  transaction: StoreTransaction,
  values: Insertable<Schema["operations"]>,
): Promise<OperationRow | undefined> {
  const row = await transaction
    .insertInto("operations")
    .values(values)
    .onConflict((conflict) =>
      conflict
        .columns(["actor", "idempotency_key"])
        .where("idempotency_key", "is not", null)
        .doNothing(),
    )
    .returningAll()
    .executeTakeFirst();
  if (row) await addStateEvent(transaction, row);
  return row;
}

/** Changes the state of an operation, and adds the event that reports it. */
export async function changeState(
  transaction: StoreTransaction,
  id: string,
  changes: Updateable<Schema["operations"]> & { readonly state: OperationState },
): Promise<OperationRow> {
  const row = await transaction
    .updateTable("operations")
    .set(changes)
    .where("id", "=", id)
    .returningAll()
    .executeTakeFirstOrThrow();
  await addStateEvent(transaction, row);
  return row;
}

export async function setFact(
  transaction: StoreTransaction,
  id: string,
  fact: Fact,
): Promise<void> {
  await transaction
    .updateTable("operations")
    .set(fact === "empty" ? { found_empty: true } : { plan_matched: true })
    .where("id", "=", id)
    .execute();
}

/** Locks the operation's row until the end of the transaction, so event numbers have no gaps. */
export async function addEvents(
  transaction: StoreTransaction,
  id: string,
  events: readonly Omit<NumberedEvent, "number">[],
): Promise<void> {
  if (events.length === 0) return;
  const { last_event } = await transaction
    .updateTable("operations")
    .set({ last_event: sql`last_event + ${events.length}` })
    .where("id", "=", id)
    .returning("last_event")
    .executeTakeFirstOrThrow();
  const first = last_event - events.length + 1;
  await transaction
    .insertInto("operation_events")
    .values(
      events.map(({ at, event }, index) => ({
        operation_id: id,
        number: first + index,
        at,
        event: jsonText(event),
      })),
    )
    .execute();
  const last = events.at(-1)!.event;
  await notify(transaction, id, last.event === "state" ? last.state : undefined);
}

/** Adds an event with the operation's current state. */
export function addStateEvent(
  transaction: StoreTransaction,
  { id, state, attempts }: Pick<OperationRow, "id" | "state" | "attempts">,
): Promise<void> {
  return addEvents(transaction, id, [
    { at: new Date(), event: { event: "state", state, attempts } },
  ]);
}

/** An attempt at another operation of the stack, or an earlier attempt at the same one. */
export interface PastAttempt {
  readonly startedAt: Date;
  readonly runner: RunnerIdentity;
  /** The process ids of its engines. */
  readonly engines: readonly number[];
}

export async function insertAttempt(
  transaction: StoreTransaction,
  id: string,
  attempt: number,
  runner: RunnerIdentity,
): Promise<void> {
  await transaction
    .insertInto("operation_attempts")
    .values({ operation_id: id, attempt, runner: jsonText(runner) })
    .execute();
}

export async function addEngine(
  db: Kysely<Schema>,
  { id, attempts }: Pick<OperationRow, "id" | "attempts">,
  pid: number,
): Promise<void> {
  await db
    .updateTable("operation_attempts")
    .set({ engines: sql`engines || ${pid}::integer` })
    .where("operation_id", "=", id)
    .where("attempt", "=", attempts)
    .execute();
}

/** All other attempts at operations of the same stack, newest first. */
export async function pastAttempts(
  db: Kysely<Schema>,
  { id, slug, platform, attempts }: OperationRow,
): Promise<PastAttempt[]> {
  const rows = await db
    .selectFrom("operation_attempts")
    .innerJoin("operations", "operations.id", "operation_attempts.operation_id")
    .select([
      "operation_attempts.runner",
      "operation_attempts.engines",
      "operation_attempts.started_at",
    ])
    .where("operations.slug", "=", slug)
    .where("operations.platform", "=", platform)
    .where((where) =>
      where.not(
        where.and([
          where("operation_attempts.operation_id", "=", id),
          where("operation_attempts.attempt", "=", attempts),
        ]),
      ),
    )
    .orderBy("operation_attempts.started_at", "desc")
    .limit(MAX_PAST_ATTEMPTS)
    .execute();
  return rows.map(({ started_at: startedAt, ...rest }) => ({ ...rest, startedAt }));
}

/**
 * Operations that a runner works on, with the runner. The rows stay locked until the end of the
 * transaction; rows that another transaction holds are left out.
 */
export function lockRunning(
  transaction: StoreTransaction,
): Promise<{ id: string; runner: RunnerIdentity }[]> {
  return transaction
    .selectFrom("operations")
    .innerJoin("operation_attempts", (join) =>
      join
        .onRef("operation_attempts.operation_id", "=", "operations.id")
        .onRef("operation_attempts.attempt", "=", "operations.attempts"),
    )
    .select(["operations.id", "operation_attempts.runner"])
    .where("operations.state", "in", ["running", "cancelling"])
    .forUpdate("operations")
    .skipLocked()
    .execute();
}

/** Deletes old operations, except the newest of each kind and project: it decides the project's status. */
export async function deleteOldOperations(store: Store): Promise<void> {
  await store.run((db) =>
    sql`
      DELETE FROM operations AS old
      WHERE old.ended_at < now() - CASE
          WHEN old.request -> 'drift' ->> 'run' IS NULL THEN ${RETENTION}::interval
          ELSE ${RETENTION_OF_LOOKS}::interval END
        AND EXISTS (
          SELECT FROM operations AS later
          WHERE later.slug = old.slug AND later.kind = old.kind AND later.id > old.id
        )`.execute(db),
  );
}
