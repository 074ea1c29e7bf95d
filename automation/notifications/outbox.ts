import { randomUUIDv7 } from "node:crypto";
import { sql } from "kysely";
import type { Registry } from "prom-client";
import {
  type Notification,
  notification,
  type NotificationKind,
  subjectOf,
} from "../../core/notification.ts";
import type { Delivery, DeliveryState } from "../../core/notification-delivery.ts";
import { cleanText } from "../audit/details.ts";
import { type Backlog, backlogOf } from "../store/backlog.ts";
import { registerGauges } from "../store/gauges.ts";
import { jsonText } from "../store/schema.ts";
import type { Store, StoreTransaction } from "../store/store.ts";

/** In characters, of a text in an event. */
const MAX_TEXT = 1_000;
/** Events that are assigned to receivers in one statement. */
const BATCH = 100;
/** How many projects one event names, of each sort. */
export const MAX_NAMED = 1_000;
/** How long an event stays here that a receiver did not take. */
const RETENTION = "30 days";

/** A receiver, as far as the outbox has to know it. */
interface Subscription {
  readonly name: string;
  /** The events that it wants. */
  readonly events: readonly NotificationKind[];
}

/** An event that one process is delivering to a receiver. */
export interface ClaimedEvent {
  readonly id: string;
  readonly receiver: string;
  /** When it was announced. */
  readonly at: Date;
  readonly subject: string;
  readonly event: Notification;
  /** With this one; from 1. */
  readonly attempts: number;
}

/**
 * Queues an event for all receivers that want its kind, in the caller's transaction: it is sent if
 * that transaction commits. Secrets in texts are replaced, and long texts are cut.
 */
export async function announce(transaction: StoreTransaction, event: Notification): Promise<void> {
  const valid = notification.parse(event);
  await transaction
    .insertInto("notifications")
    .values({
      id: randomUUIDv7(),
      at: new Date(),
      subject: cleanText(subjectOf(valid), MAX_TEXT),
      event: jsonText(JSON.parse(JSON.stringify(valid, withoutSecrets))),
    })
    .execute();
}

/**
 * A secret can be a part of an id or of a time by chance. So the shape is checked before this: the
 * operation that announces its failure must not fail because of its announcement.
 */
function withoutSecrets(key: string, value: unknown): unknown {
  return typeof value === "string" && key !== "kind" ? cleanText(value, MAX_TEXT) : value;
}

/** Assigns new events to the receivers that want them. An event that nobody wants is removed. */
export async function assign(store: Store, receivers: readonly Subscription[]): Promise<void> {
  const wanted = JSON.stringify(receivers.map(({ name, events }) => ({ name, events })));
  await store.run((db) =>
    sql`
      WITH fresh AS (
        DELETE FROM notifications WHERE id IN (
          SELECT id FROM notifications ORDER BY id LIMIT ${BATCH} FOR UPDATE SKIP LOCKED)
        RETURNING id, at, subject, event)
      INSERT INTO notification_deliveries (receiver, id, at, subject, event)
      SELECT wanted.name, fresh.id, fresh.at, fresh.subject, fresh.event
      FROM fresh CROSS JOIN jsonb_to_recordset(${wanted}::jsonb) AS wanted (name text, events jsonb)
      WHERE wanted.events ? (fresh.event ->> 'kind')`.execute(db),
  );
}

/**
 * Claims the next event of a receiver for `lease` ms, after which another process may claim it. An
 * earlier event of the same subject goes first, even if it waits for its next attempt. Undefined if no
 * event is due.
 */
export async function claim(
  store: Store,
  receiver: string,
  lease: number,
): Promise<ClaimedEvent | undefined> {
  const { rows } = await store.run((db) =>
    sql<ClaimedEvent>`
      UPDATE notification_deliveries
      SET attempts = attempts + 1, next_at = clock_timestamp() + ${lease} * interval '1 ms'
      WHERE receiver = ${receiver} AND id = (
        SELECT id FROM notification_deliveries d
        WHERE receiver = ${receiver} AND given_up_at IS NULL AND next_at <= now()
          AND NOT EXISTS (
            SELECT FROM notification_deliveries e
            WHERE e.receiver = ${receiver} AND e.subject = d.subject AND e.id < d.id
              AND e.given_up_at IS NULL)
        ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)
      RETURNING id, receiver, at, subject, event, attempts`.execute(db),
  );
  return rows[0];
}

/** The receiver has taken the event. */
export async function markDelivered(store: Store, { receiver, id }: ClaimedEvent): Promise<void> {
  await store.run((db) =>
    db
      .deleteFrom("notification_deliveries")
      .where("receiver", "=", receiver)
      .where("id", "=", id)
      .execute(),
  );
}

/** Schedules the next attempt in `wait` ms, unless another process claimed the event meanwhile. */
export async function postpone(
  store: Store,
  { receiver, id, attempts }: ClaimedEvent,
  wait: number,
  reason: string,
): Promise<void> {
  await store.run((db) =>
    db
      .updateTable("notification_deliveries")
      .set({
        next_at: sql<Date>`clock_timestamp() + ${wait} * interval '1 ms'`,
        reason: cleanText(reason),
      })
      .where("receiver", "=", receiver)
      .where("id", "=", id)
      .where("attempts", "=", attempts)
      .execute(),
  );
}

/** The event is not sent again. It stays for a while, so that a person can see it. */
export async function giveUp(
  store: Store,
  { receiver, id }: ClaimedEvent,
  reason: string,
): Promise<void> {
  await store.transaction(async (transaction) => {
    await transaction
      .updateTable("notification_deliveries")
      .set({ given_up_at: sql<Date>`now()`, reason: cleanText(reason) })
      .where("receiver", "=", receiver)
      .where("id", "=", id)
      .execute();
    await removeOld(transaction);
  });
}

/**
 * Gives up the events of receivers that the settings do not have any more,
 * once they are `age` ms old. Until then another replica may still have the settings of before.
 */
export async function giveUpForgotten(
  store: Store,
  receivers: readonly Pick<Subscription, "name">[],
  age: number,
): Promise<void> {
  await store.transaction(async (transaction) => {
    await sql`
      UPDATE notification_deliveries
      SET given_up_at = now(), reason = 'The settings have no such receiver any more.'
      WHERE given_up_at IS NULL AND at < now() - ${age} * interval '1 ms'
        AND receiver <> ALL (${receivers.map(({ name }) => name)}::text[])`.execute(transaction);
    await removeOld(transaction);
  });
}

export interface DeliveryQuery {
  readonly limit: number;
  /** Only those after this one in the list's order. */
  readonly after?: { readonly id: string; readonly receiver: string } | undefined;
  /** Default: all. */
  readonly state?: DeliveryState | undefined;
}

/** The events that receivers have not taken, newest first. */
export async function deliveries(
  store: Store,
  { limit, after, state }: DeliveryQuery,
): Promise<Delivery[]> {
  const rows = await store.run((db) => {
    let query = db
      .selectFrom("notification_deliveries")
      .select(["id", "receiver", "at", "subject", "attempts", "reason", "given_up_at", "event"])
      .orderBy("id", "desc")
      .orderBy("receiver", "desc")
      .limit(limit);
    if (state !== undefined) {
      query = query.where("given_up_at", state === "waiting" ? "is" : "is not", null);
    }
    if (after) {
      const { id, receiver } = after;
      query = query.where(sql<boolean>`(id, receiver) < (${id}::uuid, ${receiver})`);
    }
    return query.execute();
  });
  return rows.map(({ id, receiver, at, subject, attempts, reason, given_up_at: end, event }) => ({
    ...{ id, receiver, subject, attempts },
    at: at.toISOString(),
    kind: event.kind,
    state: end === null ? "waiting" : "given-up",
    ...(reason !== null && { reason }),
    ...(end !== null && { givenUpAt: end.toISOString() }),
  }));
}

/** Queues an event again, or all without an id, for the receivers for which it was given up. Returns how many. */
export async function queueAgain(transaction: StoreTransaction, id?: string): Promise<number> {
  let update = transaction
    .updateTable("notification_deliveries")
    .set({ given_up_at: null, reason: null, attempts: 0, next_at: sql<Date>`'-infinity'` })
    .where("given_up_at", "is not", null);
  if (id !== undefined) update = update.where("id", "=", id);
  return Number((await update.executeTakeFirst()).numUpdatedRows);
}

async function removeOld(transaction: StoreTransaction): Promise<void> {
  await transaction
    .deleteFrom("notification_deliveries")
    .where("at", "<", sql<Date>`now() - ${RETENTION}::interval`)
    .execute();
}

const GAUGES = [
  {
    name: "rdev_notifications_backlog",
    help: "Notifications that a receiver has not taken yet.",
    field: "waiting",
  },
  {
    name: "rdev_notifications_oldest_seconds",
    help: "Age of the oldest notification that a receiver has not taken yet; 0 if there is none.",
    field: "oldestSeconds",
  },
  {
    name: "rdev_notifications_given_up",
    help: "Notifications that are not sent again. They are kept for 30 days.",
    field: "ended",
  },
] as const;

/** Registers gauges of the outbox. Each scrape counts the rows. */
export function registerNotificationMetrics(registry: Registry, store: Store): void {
  const outbox = { table: "notification_deliveries", at: "at", ended: "given_up_at" };
  registerGauges<Backlog>(registry, GAUGES, () => backlogOf(store, outbox));
}
