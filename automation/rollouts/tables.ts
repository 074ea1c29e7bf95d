import { type Insertable, type Kysely, sql, type Updateable } from "kysely";
import { z } from "zod";
import {
  isRolloutOpen,
  type NumberedRolloutEvent,
  OPEN_ROLLOUT_STATES,
  type Rollout,
  type RolloutEvent,
  ROLLOUT_STACK_STATES,
  rolloutState,
  type RolloutStack,
  type RolloutStackState,
} from "../../core/rollout.ts";
import { notifyReplicas } from "../store/notifier.ts";
import { jsonText, type RolloutProjectRow, type RolloutRow, type Schema } from "../store/schema.ts";
import type { Store, StoreTransaction } from "../store/store.ts";
import { announceRollout } from "./announce.ts";

// The tables `rollouts`, `rollout_projects` and `rollout_events`. No other module writes to them.

/** How long ended rollouts are kept. */
const RETENTION = "90 days";

/** A rollout has a new event. `state` is set if the event changed the state. */
export const ROLLOUT_CHANGES = {
  name: "rdev_rollouts",
  message: z.object({ id: z.uuid(), state: rolloutState.optional() }),
};

interface Counted {
  readonly waves: number;
  readonly totals: Rollout["totals"];
}

/** How many projects of each rollout are in each state, by the rollout's id. */
export async function countProjects(
  db: Kysely<Schema>,
  ids: readonly string[],
): Promise<ReadonlyMap<string, Counted>> {
  const rows =
    ids.length === 0
      ? []
      : await db
          .selectFrom("rollout_projects")
          .select(["rollout_id", "state"])
          .select((by) => [by.fn.countAll<number>().as("count"), by.fn.max("wave").as("waves")])
          .where("rollout_id", "in", ids)
          .groupBy(["rollout_id", "state"])
          .execute();
  const none = Object.fromEntries(ROLLOUT_STACK_STATES.map((state) => [state, 0])) as Record<
    RolloutStackState,
    number
  >;
  return new Map(
    ids.map((id) => {
      const own = rows.filter((row) => row.rollout_id === id);
      const counts = own.map(({ state, count }) => [state, count] as const);
      const waves = Math.max(0, ...own.map((row) => row.waves));
      return [id, { waves, totals: { ...none, ...Object.fromEntries(counts) } }];
    }),
  );
}

export function rolloutOf(row: RolloutRow, { waves, totals }: Counted): Rollout {
  const { reason, plan, approved_by: by, approved_at: at, ended_at: endedAt } = row;
  return {
    id: row.id,
    platform: row.platform,
    version: row.version,
    request: row.request,
    state: row.state,
    ...(reason !== null && { reason }),
    actor: row.actor,
    createdAt: row.created_at,
    ...(endedAt && { endedAt }),
    ...(plan !== null && { plan }),
    ...(by !== null && at && { approval: { by, at, dataLoss: row.data_loss_approved } }),
    wave: row.wave,
    waves,
    totals,
  };
}

type ProjectFields = Omit<RolloutProjectRow, "plan" | "result" | "rollout_id">;

export function rolloutStackOf(row: ProjectFields): RolloutStack {
  const { slug, wave, state, reason, fingerprint, preview, operation } = row;
  return {
    slug,
    wave,
    state,
    ...(reason && { reason }),
    ...(fingerprint !== null && { fingerprint }),
    losesData: row.loses_data,
    ...(preview !== null && { preview }),
    ...(operation !== null && { operation }),
  };
}

/** Adds the rollout with the projects of each wave. */
export async function insertRollout(
  transaction: StoreTransaction,
  values: Insertable<Schema["rollouts"]>,
  waves: readonly (readonly string[])[],
): Promise<RolloutRow> {
  const row = await transaction
    .insertInto("rollouts")
    .values(values)
    .returningAll()
    .executeTakeFirstOrThrow();
  const projects = waves.flatMap((slugs, index) =>
    slugs.map((slug) => ({
      rollout_id: row.id,
      slug,
      wave: index + 1,
      state: "waiting" as const,
    })),
  );
  await transaction.insertInto("rollout_projects").values(projects).execute();
  await addEvents(transaction, row.id, [{ event: "rollout", state: row.state }]);
  return row;
}

/** The row stays locked until the end of the transaction. */
export function lockedRollout(
  transaction: StoreTransaction,
  id: string,
): Promise<RolloutRow | undefined> {
  return transaction
    .selectFrom("rollouts")
    .selectAll()
    .where("id", "=", id)
    .forUpdate()
    .executeTakeFirst();
}

/** Changes a rollout. A changed state is reported by an event, and announced to receivers. */
export async function changeRollout(
  transaction: StoreTransaction,
  { id, state: before }: Pick<RolloutRow, "id" | "state">,
  changes: Updateable<Schema["rollouts"]>,
): Promise<RolloutRow> {
  const { state = before } = changes;
  const ends = isRolloutOpen(before) && !isRolloutOpen(state);
  const row = await transaction
    .updateTable("rollouts")
    .set({ ...changes, ...(ends && { ended_at: new Date() }) })
    .where("id", "=", id)
    .returningAll()
    .executeTakeFirstOrThrow();
  if (state !== before) {
    const reason = row.reason === null ? {} : { reason: row.reason };
    await addEvents(transaction, id, [{ event: "rollout", state, ...reason }]);
    await announceRollout(transaction, row);
  }
  return row;
}

/** Changes projects of a rollout, and adds the event of each changed state. */
export async function changeProjects(
  transaction: StoreTransaction,
  id: string,
  changes: readonly (Updateable<Schema["rollout_projects"]> & { readonly slug: string })[],
): Promise<void> {
  const events: RolloutEvent[] = [];
  for (const { slug, ...values } of changes) {
    const row = await transaction
      .updateTable("rollout_projects")
      .set(values)
      .where("rollout_id", "=", id)
      .where("slug", "=", slug)
      .returning(["slug", "wave", "state", "reason", "preview", "operation"])
      .executeTakeFirstOrThrow();
    if (values.state === undefined) continue;
    const {
      fingerprint: _,
      losesData: __,
      ...shown
    } = rolloutStackOf({
      ...row,
      fingerprint: null,
      loses_data: false,
    });
    events.push({ event: "project", ...shown });
  }
  await addEvents(transaction, id, events);
}

/** Locks the rollout's row until the end of the transaction, so event numbers have no gaps. */
export async function addEvents(
  transaction: StoreTransaction,
  id: string,
  events: readonly RolloutEvent[],
): Promise<void> {
  if (events.length === 0) return;
  const { last_event } = await transaction
    .updateTable("rollouts")
    .set({ last_event: sql`last_event + ${events.length}` })
    .where("id", "=", id)
    .returning("last_event")
    .executeTakeFirstOrThrow();
  const first = last_event - events.length + 1;
  const at = new Date();
  await transaction
    .insertInto("rollout_events")
    .values(
      events.map((event, index) => ({
        rollout_id: id,
        number: first + index,
        at,
        event: jsonText(event),
      })),
    )
    .execute();
  const changed = events.findLast((event) => event.event === "rollout");
  await notifyReplicas(transaction, ROLLOUT_CHANGES, { id, state: changed?.state });
}

export function readEvents(
  db: Kysely<Schema>,
  id: string,
  after: number,
  limit: number,
): Promise<NumberedRolloutEvent[]> {
  return db
    .selectFrom("rollout_events")
    .select(["number", "at", "event"])
    .where("rollout_id", "=", id)
    .where("number", ">", after)
    .orderBy("number")
    .limit(limit)
    .execute();
}

/** Projects of open rollouts among these slugs, with the rollout that has each. */
export function projectsInRollouts(
  transaction: StoreTransaction,
  platform: string,
  slugs: readonly string[],
): Promise<{ id: string; slug: string; state: Rollout["state"]; actor: string }[]> {
  return transaction
    .selectFrom("rollout_projects")
    .innerJoin("rollouts", "rollouts.id", "rollout_projects.rollout_id")
    .select(["rollouts.id", "rollout_projects.slug", "rollouts.state", "rollouts.actor"])
    .where("rollouts.platform", "=", platform)
    .where("rollouts.state", "in", OPEN_ROLLOUT_STATES)
    .where("rollout_projects.slug", "in", slugs)
    .orderBy("rollout_projects.slug")
    .execute();
}

/**
 * Makes a replica the conductor for so many seconds. Undefined if another one is, or if the rollout has
 * ended.
 */
export function claimRollout(
  db: Kysely<Schema>,
  id: string,
  conductor: string,
  seconds: number,
): Promise<RolloutRow | undefined> {
  return db
    .updateTable("rollouts")
    .set({ conductor, conducted_until: sql`now() + make_interval(secs => ${seconds})` })
    .where("id", "=", id)
    .where("state", "in", OPEN_ROLLOUT_STATES)
    .where((is) =>
      is.or([
        is("conductor", "is", null),
        is("conductor", "=", conductor),
        is("conducted_until", "<", sql<Date>`now()`),
      ]),
    )
    .returningAll()
    .executeTakeFirst();
}

/**
 * Tells newer versions that a replica of this version lives: they stop rollouts that none has conducted or
 * seen for long. Claims are not prolonged, so an idle replica can take over what a busy one does not get to.
 */
export async function markRolloutsSeen(
  db: Kysely<Schema>,
  { platform, version }: Pick<RolloutRow, "platform" | "version">,
): Promise<void> {
  await db
    .updateTable("rollouts")
    .set({ conducted_until: sql`now()` })
    .where("platform", "=", platform)
    .where("version", "=", version)
    .where("ended_at", "is", null)
    .where((is) =>
      is.or([is("conductor", "is", null), is("conducted_until", "<", sql<Date>`now()`)]),
    )
    .execute();
}

/**
 * Open rollouts that a replica of this version has to look at. A paused one may still have running
 * operations. A planned one only waits for a person, but a claim of it tells newer versions that a
 * replica lives that can carry it out.
 */
export function conductedRollouts(
  db: Kysely<Schema>,
  platform: string,
): Promise<Pick<RolloutRow, "id" | "version" | "state" | "conducted_until" | "created_at">[]> {
  return db
    .selectFrom("rollouts")
    .select(["id", "version", "state", "conducted_until", "created_at"])
    .where("platform", "=", platform)
    .where("ended_at", "is", null)
    .orderBy("id")
    .execute();
}

/** Lets other replicas conduct what this one did. */
export async function releaseRollouts(db: Kysely<Schema>, conductor: string): Promise<void> {
  await db
    .updateTable("rollouts")
    .set({ conductor: null })
    .where("conductor", "=", conductor)
    .where("ended_at", "is", null)
    .execute();
}

export async function deleteOldRollouts(store: Store): Promise<void> {
  await store.run((db) =>
    db
      .deleteFrom("rollouts")
      .where("ended_at", "<", sql<Date>`now() - ${RETENTION}::interval`)
      .execute(),
  );
}
