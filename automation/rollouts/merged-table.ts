import { type Kysely, sql } from "kysely";
import type { MergedRollout, MergedRolloutState } from "../../core/merged-rollout.ts";
import type { MergedRolloutRow, Schema } from "../store/schema.ts";
import type { Store, StoreTransaction } from "../store/store.ts";

// The table `merged_rollouts`. No other module writes to it.

/** In ms. An older request is not done: a service of that version may come back long after a newer one. */
const MAX_AGE = 7 * 24 * 60 * 60_000;
/** How long requests are kept after their end. */
const RETENTION = "90 days";

/** A pull request that was merged, and who asks to roll it out. */
export interface MergedCommit {
  /** The id of the request. A repeated request has the same id, and is stored once. */
  readonly id: string;
  readonly number: number;
  /** The full SHA of the commit in the target branch. */
  readonly commit: string;
  /** The version of the program at that commit. */
  readonly version: string;
  /** The account on the forge. */
  readonly by: string;
}

export interface MergedRolloutQuery {
  /** 1 to 1000. */
  readonly limit: number;
  /** Only requests older than the one with this id. */
  readonly before?: string | undefined;
  readonly state?: MergedRolloutState | undefined;
}

/** How a request ended. */
interface RequestEnd {
  readonly state: Exclude<MergedRolloutState, "waiting">;
  /** Sentences. */
  readonly reason?: string;
  readonly rollout_id?: string;
}

export function actorOf({ by }: Pick<MergedCommit, "by">): string {
  return `user:${by}`;
}

export function mergedRolloutOf(row: MergedRolloutRow): MergedRollout {
  const { id, platform, number, commit, version, state, reason, rollout_id: rollout } = row;
  return {
    id,
    platform,
    pullRequest: number,
    commit,
    version,
    state,
    ...(reason !== null && { reason }),
    actor: actorOf(row),
    createdAt: row.created_at.toISOString(),
    expiresAt: new Date(row.created_at.getTime() + MAX_AGE).toISOString(),
    ...(row.ended_at && { endedAt: row.ended_at.toISOString() }),
    ...(rollout !== null && { rollout }),
  };
}

/** Newest first. */
export async function listRequests(
  store: Store,
  { limit, before, state }: MergedRolloutQuery,
): Promise<MergedRollout[]> {
  const rows = await store.run((db) => {
    let query = db.selectFrom("merged_rollouts").selectAll().orderBy("id", "desc").limit(limit);
    if (before !== undefined) query = query.where("id", "<", before);
    if (state !== undefined) query = query.where("state", "=", state);
    return query.execute();
  });
  return rows.map(mergedRolloutOf);
}

/** The open request of the platform, if it is of this version. A platform has one open request at most. */
export function openRequest(
  store: Store,
  { platform, version }: Pick<MergedRolloutRow, "platform" | "version">,
): Promise<MergedRolloutRow | undefined> {
  return store.run((db) =>
    db
      .selectFrom("merged_rollouts")
      .selectAll()
      .where("platform", "=", platform)
      .where("version", "=", version)
      .where("ended_at", "is", null)
      .executeTakeFirst(),
  );
}

/** The row stays locked until the end of the transaction. */
export function lockedRequest(
  transaction: StoreTransaction,
  id: string,
): Promise<MergedRolloutRow | undefined> {
  return transaction
    .selectFrom("merged_rollouts")
    .selectAll()
    .where("id", "=", id)
    .forUpdate()
    .executeTakeFirst();
}

/** Returns false, and stores nothing, if the request is stored already. */
export async function insertRequest(
  transaction: StoreTransaction,
  platform: string,
  { id, number, commit, version, by }: MergedCommit,
): Promise<boolean> {
  const known = await lockedRequest(transaction, id);
  if (known) return false;
  await supersede(transaction, platform, number);
  await transaction
    .insertInto("merged_rollouts")
    .values({ id, platform, number, commit, version, by })
    .execute();
  await transaction
    .deleteFrom("merged_rollouts")
    .where("ended_at", "<", sql<Date>`now() - ${RETENTION}::interval`)
    .execute();
  return true;
}

/** On the same pull request, the answer to the newer request says enough: it gets no comment. */
async function supersede(
  transaction: StoreTransaction,
  platform: string,
  number: number,
): Promise<void> {
  await transaction
    .updateTable("merged_rollouts")
    .set({
      state: "superseded",
      reason: `A newer request, of pull request ${number}, took its place.`,
      ended_at: sql`now()`,
      comment_at: sql`CASE WHEN number <> ${number} THEN now() END`,
    })
    .where("platform", "=", platform)
    .where("ended_at", "is", null)
    .execute();
}

/** Ends a request, and makes a comment due that says so. Undefined if it has ended already. */
export function endRequest(
  db: Kysely<Schema>,
  id: string,
  end: RequestEnd,
): Promise<MergedRolloutRow | undefined> {
  return db
    .updateTable("merged_rollouts")
    .set({ ...end, ended_at: sql`now()`, comment_at: sql`now()` })
    .where("id", "=", id)
    .where("ended_at", "is", null)
    .returningAll()
    .executeTakeFirst();
}

/** Ends requests of the platform that have waited for too long, and returns them. */
export function expireRequests(
  transaction: StoreTransaction,
  platform: string,
): Promise<MergedRolloutRow[]> {
  return transaction
    .updateTable("merged_rollouts")
    .set({
      state: "expired",
      reason: "It waited for 7 days, and no service planned it.",
      ended_at: sql`now()`,
      comment_at: sql`now()`,
    })
    .where("platform", "=", platform)
    .where("ended_at", "is", null)
    .where("created_at", "<=", sql<Date>`now() - ${MAX_AGE} * interval '1 ms'`)
    .returningAll()
    .execute();
}

/** Claims the oldest comment that is due for `lease` ms, after which another process may claim it. */
export async function claimComment(
  store: Store,
  platform: string,
  lease: number,
): Promise<MergedRolloutRow | undefined> {
  const { rows } = await store.run((db) =>
    sql<MergedRolloutRow>`
      UPDATE merged_rollouts
      SET comment_attempts = comment_attempts + 1,
        comment_at = clock_timestamp() + ${lease} * interval '1 ms'
      WHERE id = (
        SELECT id FROM merged_rollouts WHERE platform = ${platform} AND comment_at <= now()
        ORDER BY comment_at LIMIT 1 FOR UPDATE SKIP LOCKED)
      RETURNING *`.execute(db),
  );
  return rows[0];
}

/** Tries the comment again in `wait` ms. Without a wait it is not due any more. */
export async function postponeComment(store: Store, id: string, wait?: number): Promise<void> {
  const next = wait === undefined ? null : sql<Date>`clock_timestamp() + ${wait} * interval '1 ms'`;
  await store.run((db) =>
    db.updateTable("merged_rollouts").set({ comment_at: next }).where("id", "=", id).execute(),
  );
}
