import { type Kysely, sql } from "kysely";
import { jsonText, type OperationRow, type Schema } from "../store/schema.ts";
import type { StoreTransaction } from "../store/store.ts";
import { ring } from "./bell.ts";
import type { NumberedEvent, Operation, OperationState } from "../../core/operation.ts";

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
