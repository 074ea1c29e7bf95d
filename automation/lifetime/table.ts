import { sql } from "kysely";
import {
  effectiveExpiry,
  expiryOf,
  type LastTry,
  type LifetimeState,
} from "../../core/lifetime.ts";
import type { OperationKind, OperationState } from "../../core/operation.ts";
import { isOpen } from "../operations/tables.ts";
import type { Store, StoreTransaction } from "../store/store.ts";

// The table `lifetimes`. No other module writes to it. Times are in ms since 1970.

/** A project whose time to live ends, or that still has a row of an earlier end. */
export interface Lifetime extends LifetimeState {
  readonly slug: string;
  /** The end that counts; Infinity if it was taken back. */
  readonly expiresAt: number;
  /** The end that the progress is about; undefined if there is no row. */
  readonly knownEnd: number | undefined;
}

interface Row {
  readonly slug: string;
  readonly recorded: string | null;
  readonly requested: string | null;
  readonly stopped: boolean;
  readonly expires_at: Date | null;
  readonly noticed_at: Date | null;
  readonly stopped_at: Date | null;
  readonly kind: OperationKind | null;
  readonly state: OperationState | null;
  readonly attempts: number | null;
  readonly tried_at: Date | null;
}

/**
 * The projects with an end. The end of an `up` that waits, runs or has failed is read as well, because a
 * person who prolongs a project's time must not lose it to a failure.
 */
function select(condition: ReturnType<typeof sql>) {
  return sql<Row>`
    SELECT p.slug, p.settings ->> 'expiresAt' AS recorded, asked.requested,
           coalesce((p.settings ->> 'stopped')::boolean, false) AS stopped,
           l.expires_at, l.noticed_at, l.stopped_at, l.attempts, l.tried_at, o.kind, o.state
    FROM projects p LEFT JOIN lifetimes l ON l.slug = p.slug
    LEFT JOIN operations o ON o.id = l.operation
    LEFT JOIN LATERAL (
      SELECT CASE WHEN state <> 'succeeded' THEN settings ->> 'expiresAt' END AS requested
      FROM operations
      WHERE slug = p.slug AND kind = 'up' AND settings ? 'expiresAt'
        AND (state <> 'cancelled' OR started_at IS NOT NULL)
      ORDER BY id DESC LIMIT 1
    ) asked ON true
    WHERE ${condition} AND (p.settings ? 'expiresAt' OR l.slug IS NOT NULL)
    ORDER BY l.expires_at NULLS FIRST`;
}

/** All projects of a platform with an end, or with a row of an earlier end. */
export async function lifetimes(store: Store, platform: string): Promise<Lifetime[]> {
  const { rows } = await store.run((db) => select(sql`p.platform = ${platform}`).execute(db));
  return rows.map(lifetimeOf);
}

/** Whether the project's end is still the given one, or an earlier one. */
export async function isStillExpired(
  transaction: StoreTransaction,
  slug: string,
  expired: number,
): Promise<boolean> {
  const { rows } = await select(sql`p.slug = ${slug}`).execute(transaction);
  return rows.some((row) => lifetimeOf(row).expiresAt <= expired);
}

function lifetimeOf(row: Row): Lifetime {
  const { slug, recorded, requested } = row;
  const expiresAt = effectiveExpiry(
    expiryOf({ expiresAt: recorded ?? undefined }),
    requested === null ? undefined : expiryOf({ expiresAt: requested }),
  );
  return {
    slug,
    expiresAt,
    isStopped: row.stopped,
    knownEnd: row.expires_at?.getTime(),
    progress: { noticedAt: row.noticed_at?.getTime(), stoppedAt: row.stopped_at?.getTime() },
    last: lastTry(row),
  };
}

function lastTry({ kind, state, attempts, tried_at: triedAt }: Row): LastTry | undefined {
  if (!kind || !state || !triedAt) return undefined;
  return {
    step: kind === "destroy" ? "destroy" : "stop",
    state: isOpen(state) ? "open" : state === "succeeded" ? "succeeded" : "failed",
    attempts: attempts ?? 1,
    triedAt: triedAt.getTime(),
  };
}

/** Forgets what was done for an earlier end. */
export async function resetLifetime(
  transaction: StoreTransaction,
  slug: string,
  expiresAt: number,
): Promise<void> {
  await transaction.deleteFrom("lifetimes").where("slug", "=", slug).execute();
  if (expiresAt === Infinity) return;
  await sql`
    INSERT INTO lifetimes (slug, expires_at)
    SELECT slug, ${new Date(expiresAt)} FROM projects WHERE slug = ${slug} FOR KEY SHARE`.execute(
    transaction,
  );
}

interface StepUpdate {
  readonly noticedAt?: Date;
  readonly stoppedAt?: Date;
  /** The operation that was begun, how often its step was, and when. */
  readonly begun?: { readonly operation: string; readonly attempts: number; readonly at: Date };
}

export async function recordStep(
  transaction: StoreTransaction,
  slug: string,
  { noticedAt, stoppedAt, begun }: StepUpdate,
): Promise<void> {
  await transaction
    .updateTable("lifetimes")
    .set({
      ...(noticedAt && { noticed_at: noticedAt }),
      ...(stoppedAt && { stopped_at: stoppedAt }),
      ...(begun && {
        operation: begun.operation,
        attempts: begun.attempts,
        tried_at: begun.at,
      }),
    })
    .where("slug", "=", slug)
    .execute();
}
