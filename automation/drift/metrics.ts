import { sql } from "kysely";
import { Gauge, type Registry } from "prom-client";
import { DRIFT_STATES, type DriftState } from "../../core/drift.ts";
import type { Store } from "../store/store.ts";

type Counts = Readonly<Record<DriftState, number>>;

/**
 * Reports the drift of all projects: the shared database is queried on each scrape. While it is down
 * nothing is reported.
 */
export function registerDriftMetrics(registry: Registry, store: Store): void {
  new Gauge({
    name: "rdev_drift_projects",
    help: "Projects by the state of their drift.",
    labelNames: ["state"],
    registers: [registry],
    async collect() {
      this.reset();
      const counts = await countProjects(store).catch(() => undefined);
      if (!counts) return;
      for (const state of DRIFT_STATES) this.set({ state }, counts[state]);
    },
  });
  new Gauge({
    name: "rdev_drift_run_ended_timestamp_seconds",
    help: "When the last look at all projects ended.",
    registers: [registry],
    async collect() {
      this.set((await lastEnd(store).catch(() => null)) ?? Number.NaN);
    },
  });
}

async function countProjects(store: Store): Promise<Counts> {
  const { rows } = await store.run((db) =>
    sql<Counts>`
      SELECT (count(*) FILTER (WHERE error IS NOT NULL))::int AS failed,
             (count(*) FILTER (WHERE error IS NULL AND checked_at IS NULL))::int AS unchecked,
             (count(*) FILTER (WHERE error IS NULL AND checked_at IS NOT NULL AND changes = '[]'))::int
               AS clean,
             (count(*) FILTER (WHERE error IS NULL AND checked_at IS NOT NULL AND changes <> '[]'))::int
               AS drifted
      FROM projects p LEFT JOIN drift d ON d.slug = p.slug`.execute(db),
  );
  return rows[0]!;
}

/** In seconds since 1970; null if no look at all projects has ended. */
async function lastEnd(store: Store): Promise<number | null> {
  const { rows } = await store.run((db) =>
    sql<{ ended: number | null }>`
      SELECT extract(epoch FROM max(ended_at))::float AS ended FROM drift_runs`.execute(db),
  );
  return rows[0]!.ended;
}
