import { sql } from "kysely";
import type { Store } from "./store/store.ts";

export interface StatisticsQuery {
  readonly from: Date;
  /** The number of periods, and the length of each. */
  readonly periods: number;
  readonly periodMs: number;
  /** Only these projects. Default: all. */
  readonly slugs?: readonly string[] | undefined;
}

/** What happened in a part of the time. */
export interface Period {
  readonly at: Date;
  /** Operations that ended in it, by their final state. */
  readonly succeeded: number;
  readonly failed: number;
  readonly cancelled: number;
  /** How long the operations ran that ended in it, in seconds; null if none did. */
  readonly medianSeconds: number | null;
  readonly p95Seconds: number | null;
  /** The projects at its end. */
  readonly projects: number;
}

type PeriodRow = Omit<Period, "at">;

/**
 * The operations and the number of projects over time. PostgreSQL counts. A project lives from its first
 * successful `up`, by the API or the command, to its successful destroy.
 */
export async function statistics(
  store: Store,
  { from, periods, periodMs, slugs }: StatisticsQuery,
): Promise<Period[]> {
  const seconds = periodMs / 1000;
  const end = new Date(Number(from) + periods * periodMs);
  const periodOf = (column: "at" | "ended_at") =>
    sql`floor(extract(epoch FROM ${sql.ref(column)} - ${from}::timestamptz) / ${seconds})::int`;
  const { rows } = await store.run((db) =>
    sql<PeriodRow>`
      WITH ended AS (
        SELECT ${periodOf("ended_at")} AS period, state,
               extract(epoch FROM ended_at - started_at)::float AS seconds
        FROM operations
        WHERE ended_at >= ${from} AND ended_at < ${end}
          AND ${slugs ? sql`slug = ANY (${slugs})` : sql`true`}
      ), counted AS (
        SELECT period,
               count(*) FILTER (WHERE state = 'succeeded') AS succeeded,
               count(*) FILTER (WHERE state = 'failed') AS failed,
               count(*) FILTER (WHERE state = 'cancelled') AS cancelled,
               percentile_cont(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY seconds) AS percentiles
        FROM ended GROUP BY period
      ), lives AS (
        SELECT at, action, lag(action) OVER (PARTITION BY project_id ORDER BY id) AS before
        FROM audit_log
        WHERE result = 'success' AND action IN ('project.create', 'project.destroy')
          AND ${slugs ? sql`project_id = ANY (${slugs})` : sql`true`}
      ), changes AS (
        SELECT greatest(${periodOf("at")}, 0) AS period,
               count(*) FILTER (WHERE action = 'project.create')
                 - count(*) FILTER (WHERE action = 'project.destroy') AS change
        FROM lives
        WHERE at < ${end} AND action IS DISTINCT FROM coalesce(before, 'project.destroy')
        GROUP BY 1
      )
      SELECT coalesce(succeeded, 0) AS succeeded, coalesce(failed, 0) AS failed,
             coalesce(cancelled, 0) AS cancelled,
             percentiles[1] AS "medianSeconds", percentiles[2] AS "p95Seconds",
             (sum(coalesce(change, 0)) OVER (ORDER BY number))::int AS projects
      FROM generate_series(0, ${periods - 1}::int) AS number
        LEFT JOIN counted ON counted.period = number
        LEFT JOIN changes ON changes.period = number
      ORDER BY number`.execute(db),
  );
  return rows.map((row, number) => ({ at: new Date(Number(from) + number * periodMs), ...row }));
}
