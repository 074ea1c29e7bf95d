import { createHash, randomUUIDv7 } from "node:crypto";
import { sql } from "kysely";
import type { ForgeEvent, PreviewRequest } from "../../core/previews/forge-event.ts";
import { jsonText } from "../store/schema.ts";
import type { Store, StoreTransaction } from "../store/store.ts";

/** How long deliveries and heads are remembered; longer than a request may be old. */
const RETENTION = "7 days";

/** A request that one process works on. */
export interface ClaimedRequest {
  readonly id: string;
  readonly request: PreviewRequest;
  /** With this one; from 1. */
  readonly attempts: number;
}

/**
 * Stores the events of a delivery. Returns false, and stores nothing, if its body came before. The
 * delivery's id has no say, because it is not signed: a replay could have another one each time.
 */
export async function storeDelivery(
  store: Store,
  body: Buffer,
  events: readonly ForgeEvent[],
): Promise<boolean> {
  const key = `body ${createHash("sha256").update(body).digest("hex")}`;
  return store.transaction(async (transaction) => {
    const { rows } = await sql`
      INSERT INTO forge_deliveries (key) VALUES (${key})
      ON CONFLICT DO NOTHING RETURNING key`.execute(transaction);
    if (rows.length === 0) return false;
    for (const event of events) await storeEvent(transaction, event);
    await sql`
      DELETE FROM forge_deliveries WHERE received_at < now() - ${RETENTION}::interval`.execute(
      transaction,
    );
    return true;
  });
}

async function storeEvent(transaction: StoreTransaction, event: ForgeEvent): Promise<void> {
  if (event.kind === "head") {
    const { number, commit, at } = event;
    await transaction
      .insertInto("pull_request_heads")
      .values({ number, commit, seen_at: new Date(at) })
      .onConflict((conflict) => conflict.doNothing())
      .execute();
    await sql`
      DELETE FROM pull_request_heads h WHERE seen_at < now() - ${RETENTION}::interval AND EXISTS (
        SELECT FROM pull_request_heads n WHERE n.number = h.number AND n.seen_at > h.seen_at)`.execute(
      transaction,
    );
    return;
  }
  await transaction
    .insertInto("preview_requests")
    .values({ id: randomUUIDv7(), request: jsonText(event) })
    .execute();
}

/**
 * The commit that a pull request's branch was at before this time, by the host's clock, which counts
 * seconds: a push in the same second does not count, because it may be later. Undefined if no event said so,
 * or if the events of the latest second name several commits.
 */
export async function headBefore(
  store: Store,
  number: number,
  at: string,
): Promise<string | undefined> {
  const { rows } = await store.run((db) =>
    sql<{ commit: string; at: Date }>`
      SELECT commit, max(seen_at) AS at FROM pull_request_heads
      WHERE number = ${number} AND seen_at < ${new Date(at)}
      GROUP BY commit ORDER BY at DESC LIMIT 2`.execute(db),
  );
  const [latest, other] = rows;
  return latest?.at.getTime() === other?.at.getTime() ? undefined : latest?.commit;
}

/** Claims the oldest request for `lease` ms, after which another process may claim it. */
export async function claimRequest(
  store: Store,
  lease: number,
): Promise<ClaimedRequest | undefined> {
  const { rows } = await store.run((db) =>
    sql<ClaimedRequest>`
      UPDATE preview_requests
      SET attempts = attempts + 1, next_at = clock_timestamp() + ${lease} * interval '1 ms'
      WHERE id = (
        SELECT id FROM preview_requests WHERE next_at <= now()
        ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)
      RETURNING id, request, attempts`.execute(db),
  );
  return rows[0];
}

/** Tries the request again in `wait` ms. */
export async function postponeRequest(store: Store, id: string, wait: number): Promise<void> {
  await store.run((db) =>
    db
      .updateTable("preview_requests")
      .set({ next_at: sql<Date>`clock_timestamp() + ${wait} * interval '1 ms'` })
      .where("id", "=", id)
      .execute(),
  );
}

export async function endRequest(store: Store, id: string): Promise<void> {
  await store.run((db) => db.deleteFrom("preview_requests").where("id", "=", id).execute());
}
