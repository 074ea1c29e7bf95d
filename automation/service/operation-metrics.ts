import { sql } from "kysely";
import { Gauge, type Registry } from "prom-client";
import { OPERATION_KINDS, OPERATION_STATES } from "../../core/operation.ts";
import type { Store } from "../store/store.ts";

interface Counted {
  readonly kind: string;
  readonly state: string;
  readonly count: number;
  /** Of those that ended within the last hour, in seconds. */
  readonly seconds: number | null;
}

/**
 * Shows the operations of all replicas: they share one database, and it is asked whenever the metrics
 * are read. Nothing is shown while it is down.
 */
export function registerOperationMetrics(registry: Registry, store: Store): void {
  const duration = new Gauge({
    name: "rdev_operation_duration_seconds",
    help: "How long operations that ended within the last hour took on average.",
    labelNames: ["kind", "state"],
    registers: [registry],
  });
  const queue = new Gauge({
    name: "rdev_operation_queue_oldest_seconds",
    help: "Age of the oldest operation that waits for its turn; 0 where none waits.",
    registers: [registry],
  });
  new Gauge({
    name: "rdev_operations",
    help: "Operations on record, by kind and state; those that wait are queued.",
    labelNames: ["kind", "state"],
    registers: [registry],
    async collect() {
      this.reset();
      duration.reset();
      const counted = await count(store).catch(() => undefined);
      queue.set(counted?.oldest ?? Number.NaN);
      if (!counted) return;
      for (const kind of OPERATION_KINDS) {
        for (const state of OPERATION_STATES) this.set({ kind, state }, 0);
      }
      for (const { kind, state, count: value, seconds } of counted.rows) {
        this.set({ kind, state }, value);
        if (seconds !== null) duration.set({ kind, state }, seconds);
      }
    },
  });
}

async function count(store: Store): Promise<{ rows: Counted[]; oldest: number }> {
  const { rows } = await store.run((db) =>
    sql<Counted>`
      SELECT kind, state, count(*) AS count,
             avg(extract(epoch FROM ended_at - started_at))
               FILTER (WHERE ended_at > now() - interval '1 hour')::float AS seconds
      FROM operations GROUP BY kind, state`.execute(db),
  );
  const waiting = await store.run((db) =>
    sql<{ oldest: number }>`
      SELECT coalesce(extract(epoch FROM now() - min(created_at)), 0)::float AS oldest
      FROM operations WHERE state = 'queued'`.execute(db),
  );
  return { rows, oldest: waiting.rows[0]?.oldest ?? 0 };
}
