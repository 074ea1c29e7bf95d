import { sql } from "kysely";
import { Gauge, type Registry } from "prom-client";
import { DRIFT_STATES, type DriftState } from "../../core/drift.ts";
import { registerStateGauge } from "../store/gauges.ts";
import type { Store } from "../store/store.ts";
import { DRIFTS } from "./table.ts";

/**
 * Reports the drift of all projects: the shared database is queried on each scrape. While it is down
 * nothing is reported.
 */
export function registerDriftMetrics(registry: Registry, store: Store): void {
  const gauge = {
    name: "rdev_drift_projects",
    help: "Projects by the state of their drift.",
    states: DRIFT_STATES,
  };
  registerStateGauge(registry, gauge, () => countProjects(store));
  new Gauge({
    name: "rdev_drift_run_ended_timestamp_seconds",
    help: "When the last look at all projects ended.",
    registers: [registry],
    async collect() {
      this.set((await lastEnd(store).catch(() => null)) ?? Number.NaN);
    },
  });
}

async function countProjects(store: Store) {
  const { rows } = await store.run((db) =>
    sql<{ state: DriftState; count: number }>`
      SELECT state, count(*)::int AS count FROM (${DRIFTS}) known GROUP BY state`.execute(db),
  );
  return rows;
}

/** In seconds since 1970; null if no look at all projects has ended. */
async function lastEnd(store: Store): Promise<number | null> {
  const { rows } = await store.run((db) =>
    sql<{ ended: number | null }>`
      SELECT extract(epoch FROM max(ended_at))::float AS ended FROM drift_runs`.execute(db),
  );
  return rows[0]!.ended;
}
