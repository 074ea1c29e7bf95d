import { type RawBuilder, sql } from "kysely";
import {
  type Drift,
  type DriftFinding,
  type DriftRun,
  type DriftState,
  type FixPolicy,
  type KnownChange,
  sinceFirstSeen,
} from "../../core/drift.ts";
import { InfraError } from "../../core/errors.ts";
import type { Outcome } from "../../core/operation.ts";
import { safeText } from "../../core/previews/sensitive.ts";
import { cutMiddle } from "../../core/previews/text.ts";
import { connectionSecrets } from "../../core/connections.ts";
import { isNoLook, OPEN_STATES } from "../operations/tables.ts";
import { jsonText, type OperationRow } from "../store/schema.ts";
import type { Store, StoreTransaction } from "../store/store.ts";

// The tables `drift` and `drift_runs`. No other module writes to them.

/** In characters, of an error. */
const MAX_ERROR = 2_000;

/** The open part of the operations of a look at all projects. */
const RUN_OF_OPERATION = sql<string>`(o.request -> 'drift' ->> 'run')::uuid`;

/** Records what a look at a project found, or why it failed. A look that was cancelled tells nothing. */
export async function recordLook(
  transaction: StoreTransaction,
  { id, slug, request }: OperationRow,
  { result, errors }: Outcome,
  finding: DriftFinding | undefined,
): Promise<void> {
  if (request.kind !== "preview" || !request.drift || result === "cancelled") return;
  const before = await lockedDrift(transaction, slug);
  if (!before) return; // the project is gone
  const now = new Date();
  const [first] = errors;
  await transaction
    .updateTable("drift")
    .set({
      operation: id,
      ...(request.drift.run !== undefined && { run: request.drift.run }),
      ...(finding && result === "succeeded"
        ? {
            checked_at: now,
            changes: jsonText(sinceFirstSeen(before.changes, finding.changes, now.toISOString())),
            fixable_by: finding.fixableBy,
            error: null,
          }
        : {
            error: jsonText({
              ...(first?.code !== undefined && { code: first.code }),
              message: cutMiddle(
                safeText(first?.message ?? "No cause was reported.", connectionSecrets()),
                MAX_ERROR,
              ),
              since: before.error?.since ?? now.toISOString(),
            }),
          }),
    })
    .where("slug", "=", slug)
    .execute();
}

/** Records that a fix has succeeded: nothing differs any more. */
export async function recordFixed(
  transaction: StoreTransaction,
  { slug, request }: OperationRow,
  { result }: Outcome,
): Promise<void> {
  if (request.kind !== "up" || request.fix === undefined || result !== "succeeded") return;
  await transaction
    .updateTable("drift")
    .set({ changes: jsonText([]), fixable_by: "nothing", error: null, checked_at: new Date() })
    .where("slug", "=", slug)
    .execute();
}

/**
 * Records the operation that is to fix the project, for the last look at it. Rejects with RDEV_NOT_FOUND if
 * nothing is known to differ any more: an `up` of a project that was deleted meanwhile would create it again.
 */
export async function recordFix(
  transaction: StoreTransaction,
  slug: string,
  fix: string,
): Promise<void> {
  const rows = await transaction
    .updateTable("drift")
    .set({ fix, fixed_look: sql`operation` })
    .where("slug", "=", slug)
    .where(sql<boolean>`changes <> '[]'`)
    .returning("slug")
    .execute();
  if (rows.length > 0) return;
  throw new InfraError("RDEV_NOT_FOUND", `Nothing is known to differ in "${slug}" any more.`);
}

/** The project's row, made if there is none; undefined if the project does not exist. */
async function lockedDrift(transaction: StoreTransaction, slug: string) {
  await sql`
    INSERT INTO drift (slug) SELECT slug FROM projects WHERE slug = ${slug} FOR KEY SHARE
    ON CONFLICT DO NOTHING`.execute(transaction);
  return transaction
    .selectFrom("drift")
    .select(["changes", "error"])
    .where("slug", "=", slug)
    .forUpdate()
    .executeTakeFirst();
}

interface NewRun {
  readonly id: string;
  readonly platform: string;
  readonly actor: string;
  /** The time of the schedule; undefined for a person's request. */
  readonly scheduledAt: Date | undefined;
}

/** False if one is open already, or if another replica has begun the one of this time. */
export async function insertRun(
  transaction: StoreTransaction,
  { id, platform, actor, scheduledAt }: NewRun,
): Promise<boolean> {
  const rows = await transaction
    .insertInto("drift_runs")
    .values({ id, platform, actor, scheduled_at: scheduledAt ?? null })
    .onConflict((conflict) => conflict.doNothing())
    .returning("id")
    .execute();
  return rows.length > 0;
}

export async function endRun(transaction: StoreTransaction, id: string): Promise<boolean> {
  const rows = await transaction
    .updateTable("drift_runs")
    .set({ ended_at: new Date() })
    .where("id", "=", id)
    .where("ended_at", "is", null)
    .returning("id")
    .execute();
  return rows.length > 0;
}

/** The time of the last scheduled look at all projects. */
export async function lastScheduled(store: Store, platform: string): Promise<Date | undefined> {
  const row = await store.run((db) =>
    db
      .selectFrom("drift_runs")
      .select((one) => one.fn.max("scheduled_at").as("at"))
      .where("platform", "=", platform)
      .executeTakeFirst(),
  );
  return row?.at ?? undefined;
}

interface Progress {
  /** Projects that it has not looked at and that no operation works on, the longest unseen first. */
  readonly next: readonly string[];
  /** How many projects it has not looked at. */
  readonly left: number;
  /** How many of its operations wait or run. */
  readonly open: number;
}

/** How far a look at all projects is. Projects that were never up have nothing that could differ. */
export async function progressOf(
  store: Store,
  { id, platform }: Pick<DriftRun, "id"> & { readonly platform: string },
): Promise<Progress> {
  const { rows } = await store.run((db) =>
    sql<{ slug: string; busy: boolean; own: boolean }>`
      SELECT p.slug, o.id IS NOT NULL AS busy, coalesce(${RUN_OF_OPERATION} = ${id}, false) AS own
      FROM projects p LEFT JOIN drift d ON d.slug = p.slug LEFT JOIN LATERAL (
        SELECT id, request FROM operations
        WHERE slug = p.slug AND state = ANY (${OPEN_STATES}) ORDER BY id LIMIT 1
      ) o ON true
      WHERE p.platform = ${platform} AND p.outputs <> '{}' AND d.run IS DISTINCT FROM ${id}
      ORDER BY d.checked_at NULLS FIRST, p.slug`.execute(db),
  );
  return {
    next: rows.filter(({ busy }) => !busy).map(({ slug }) => slug),
    left: rows.length,
    open: rows.filter(({ own }) => own).length,
  };
}

interface UnfixedQuery {
  readonly platform: string;
  readonly permitted: readonly FixPolicy[];
  /** How many fixes may wait or run. */
  readonly atOnce: number;
}

/**
 * Drifted projects that a policy permits to fix and whose last look has led to no fix yet. Busy ones are
 * left out, because they would delay the others.
 */
export async function unfixed(
  store: Store,
  { platform, permitted, atOnce }: UnfixedQuery,
): Promise<string[]> {
  const { rows } = await store.run((db) =>
    sql<{ slug: string }>`
      SELECT d.slug FROM drift d JOIN projects p ON p.slug = d.slug
      WHERE p.platform = ${platform} AND d.changes <> '[]' AND d.error IS NULL
        AND d.fixable_by = ANY (${permitted}) AND d.fixed_look IS DISTINCT FROM d.operation
        AND NOT EXISTS (
          SELECT FROM operations WHERE slug = p.slug AND state = ANY (${OPEN_STATES}) AND ${isNoLook})
      ORDER BY d.checked_at
      LIMIT greatest(0, ${atOnce}::int - (
        SELECT count(*)::int FROM drift f JOIN operations o ON o.id = f.fix
        WHERE o.state = ANY (${OPEN_STATES})))`.execute(db),
  );
  return rows.map(({ slug }) => slug);
}

/** The drift of every project as rows for `driftOfRow`, to be joined in other statements. */
export const DRIFTS = sql`
  SELECT p.slug, p.platform, d.run, d.checked_at AS "checkedAt", d.error, d.operation, d.fix,
         coalesce(d.changes, '[]') AS changes,
         coalesce(d.fixable_by, 'nothing') AS "fixableBy",
         CASE WHEN d.error IS NOT NULL THEN 'failed'
              WHEN d.checked_at IS NULL THEN 'unchecked'
              WHEN d.changes = '[]' THEN 'clean' ELSE 'drifted' END AS state
  FROM projects p LEFT JOIN drift d ON d.slug = p.slug`;

export interface DriftRow extends Omit<
  Drift,
  "checkedAt" | "since" | "error" | "operation" | "fix"
> {
  /** A text if the row was read as JSON. */
  readonly checkedAt: Date | string | null;
  readonly error: NonNullable<Drift["error"]> | null;
  readonly operation: string | null;
  readonly fix: string | null;
}

interface DriftQuery {
  readonly platform: string;
  readonly limit: number;
  /** Only projects with a greater slug. */
  readonly after?: string | undefined;
  readonly slugs?: readonly string[] | undefined;
  /** Only projects in one of these states. */
  readonly states?: readonly DriftState[] | undefined;
  /** Only projects that this look at all projects looked at. */
  readonly run?: string | undefined;
}

/** Reads drift. Writes go through the functions above. */
export class DriftRecords {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  /** Ordered by slug. */
  async list({ platform, limit, after, slugs, states, run }: DriftQuery): Promise<Drift[]> {
    const conditions = [
      sql`platform = ${platform}`,
      ...(after === undefined ? [] : [sql`slug > ${after} COLLATE "C"`]),
      ...(slugs ? [sql`slug = ANY (${slugs})`] : []),
      ...(states ? [sql`state = ANY (${states})`] : []),
      ...(run === undefined ? [] : [sql`run = ${run}`]),
    ];
    return this.#select(sql.join(conditions, sql` AND `), limit);
  }

  /** Undefined if there is no such project. */
  async find(slug: string): Promise<Drift | undefined> {
    return (await this.#select(sql`slug = ${slug}`, 1))[0];
  }

  /** Newest first. */
  async runs(platform: string, limit: number): Promise<DriftRun[]> {
    return this.#runs(sql`platform = ${platform}`, limit);
  }

  async openRun(platform: string): Promise<DriftRun | undefined> {
    return (await this.#runs(sql`platform = ${platform} AND ended_at IS NULL`, 1))[0];
  }

  async #select(condition: RawBuilder<unknown>, limit: number): Promise<Drift[]> {
    const { rows } = await this.#store.run((db) =>
      sql<DriftRow>`
        SELECT * FROM (${DRIFTS}) known
        WHERE ${condition} ORDER BY slug COLLATE "C" LIMIT ${limit}`.execute(db),
    );
    return rows.map(driftOfRow);
  }

  async #runs(condition: RawBuilder<unknown>, limit: number): Promise<DriftRun[]> {
    const { rows } = await this.#store.run((db) =>
      sql<RunRow>`
        SELECT r.id, r.actor, r.scheduled_at AS "scheduledAt", r.started_at AS "startedAt",
               r.ended_at AS "endedAt", count(p.slug)::int AS total,
               (count(*) FILTER (WHERE d.run = r.id))::int AS done,
               (count(*) FILTER (WHERE d.run = r.id AND d.error IS NULL AND d.changes <> '[]'))::int
                 AS drifted,
               (count(*) FILTER (WHERE d.run = r.id AND d.error IS NOT NULL))::int AS failed
        FROM (
          SELECT * FROM drift_runs WHERE ${condition} ORDER BY started_at DESC LIMIT ${limit}
        ) r LEFT JOIN projects p ON p.platform = r.platform AND p.outputs <> '{}'
        LEFT JOIN drift d ON d.slug = p.slug
        GROUP BY r.id, r.actor, r.scheduled_at, r.started_at, r.ended_at
        ORDER BY r.started_at DESC`.execute(db),
    );
    return rows.map(({ scheduledAt, startedAt, endedAt, ...same }) => ({
      ...same,
      reason: scheduledAt ? "schedule" : "request",
      startedAt: startedAt.toISOString(),
      ...(endedAt && { endedAt: endedAt.toISOString() }),
    }));
  }
}

interface RunRow extends Omit<DriftRun, "reason" | "startedAt" | "endedAt"> {
  readonly scheduledAt: Date | null;
  readonly startedAt: Date;
  readonly endedAt: Date | null;
}

export function driftOfRow(row: DriftRow): Drift {
  const { slug, state, checkedAt, changes, fixableBy, error, operation, fix } = row;
  const since = firstSeen(changes);
  return {
    slug,
    state,
    ...(checkedAt !== null && { checkedAt: new Date(checkedAt).toISOString() }),
    ...(since !== undefined && { since }),
    changes,
    fixableBy,
    ...(error && { error }),
    ...(operation !== null && { operation }),
    ...(fix !== null && { fix }),
  };
}

function firstSeen(changes: readonly KnownChange[]): string | undefined {
  return changes.map(({ since }) => since).toSorted()[0];
}
