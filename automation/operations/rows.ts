import { type Insertable, type Kysely, sql, type Updateable } from "kysely";
import { jsonText, type OperationRow, type Schema } from "../store/schema.ts";
import type { Store, StoreTransaction } from "../store/store.ts";
import { ring } from "./bell.ts";
import type { NumberedEvent, Operation, OperationState } from "../../core/operation.ts";
import type { RunnerIdentity } from "./runner-identity.ts";

// The tables `operations`, `operation_attempts` and `operation_events`. No other module writes to them.

export const OPEN: readonly OperationState[] = ["queued", "running", "cancelling"];

export function isOpen(state: OperationState): boolean {
  return OPEN.includes(state);
}

export function operationOf(row: OperationRow): Operation {
  return {
    ...{ id: row.id, platform: row.platform, slug: row.slug, request: row.request },
    ...{ state: row.state, actor: row.actor, attempts: row.attempts },
    ...{ createdAt: row.created_at, startedAt: row.started_at, endedAt: row.ended_at },
    ...{ outcome: row.outcome, remaining: row.remaining },
  };
}

/** Returns undefined if the actor has used the idempotency key for another operation. */
export function addOperation(
  transaction: StoreTransaction,
  values: Insertable<Schema["operations"]>,
): Promise<OperationRow | undefined> {
  return transaction
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
}

/** Changes an operation, and adds an event with its state. */
export async function changeOperation(
  transaction: StoreTransaction,
  id: string,
  changes: Updateable<Schema["operations"]>,
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

/** Records that nothing of the project existed before the operation. */
export async function setFoundEmpty(transaction: StoreTransaction, id: string): Promise<void> {
  await transaction
    .updateTable("operations")
    .set({ found_empty: true })
    .where("id", "=", id)
    .execute();
}

type AttemptKey = Pick<OperationRow, "id" | "attempts">;

export async function addAttempt(
  transaction: StoreTransaction,
  { id, attempts }: AttemptKey,
  runner: RunnerIdentity,
): Promise<void> {
  await transaction
    .insertInto("operation_attempts")
    .values({ operation_id: id, attempt: attempts, runner: jsonText(runner) })
    .execute();
}

/** Adds the process id of an engine to an attempt. */
export async function addEngine(
  db: Kysely<Schema>,
  { id, attempts }: AttemptKey,
  pid: number,
): Promise<void> {
  await db
    .updateTable("operation_attempts")
    .set({ engines: sql`engines || ${pid}::integer` })
    .where("operation_id", "=", id)
    .where("attempt", "=", attempts)
    .execute();
}

/** Adds events of an operation. Its row is locked till the end of the transaction, so no number is left out. */
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
  await ring(transaction, id, last.event === "state" ? last.state : undefined);
}

/** Tells of an operation's state, as it is now. */
export function addStateEvent(
  transaction: StoreTransaction,
  { id, state, attempts }: Pick<OperationRow, "id" | "state" | "attempts">,
): Promise<void> {
  return addEvents(transaction, id, [
    { at: new Date(), event: { event: "state", state, attempts } },
  ]);
}

/** Locked until the end of the transaction. */
export function lockedRow(
  transaction: Kysely<Schema>,
  id: string,
): Promise<OperationRow | undefined> {
  return transaction
    .selectFrom("operations")
    .selectAll()
    .where("id", "=", id)
    .forUpdate()
    .executeTakeFirst();
}

/** How long operations are kept after their end, with their events and their Idempotency-Keys. */
const RETENTION = "90 days";

/** Deletes old operations, but keeps the newest of each kind and project, which give its status. */
export async function deleteOldOperations(store: Store): Promise<void> {
  await store.run((db) =>
    sql`
      DELETE FROM operations AS old
      WHERE old.ended_at < now() - ${RETENTION}::interval
        AND EXISTS (
          SELECT FROM operations AS later
          WHERE later.slug = old.slug AND later.kind = old.kind AND later.id > old.id
        )`.execute(db),
  );
}
