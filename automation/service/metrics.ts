import type { FastifyInstance } from "fastify";
import { sql } from "kysely";
import { Gauge, Histogram, type Registry } from "prom-client";
import { OPERATION_KINDS, OPERATION_STATES } from "../../core/operation.ts";
import type { Store } from "../store/store.ts";

/** Measures requests by route and not by URL, which bounds the number of series. */
export function measureRequests(app: FastifyInstance, registry: Registry): void {
  const duration = new Histogram({
    name: "rdev_http_request_duration_seconds",
    help: "Duration of requests, without event streams.",
    labelNames: ["method", "route", "status"],
    buckets: [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    registers: [registry],
  });
  app.addHook("onResponse", async ({ method, routeOptions }, reply) => {
    if (routeOptions.config.streams) return;
    const labels = { method, route: routeOptions.url ?? "unknown", status: reply.statusCode };
    duration.observe(labels, reply.elapsedTime / 1000);
  });
}

interface OperationCount {
  readonly kind: string;
  readonly state: string;
  readonly count: number;
  /** The average duration of those that ended within the last hour. */
  readonly seconds: number | null;
}

/**
 * Reports the operations of all replicas: the shared database is queried on each scrape. While it is
 * down nothing is reported.
 */
export function registerOperationMetrics(registry: Registry, store: Store): void {
  const duration = new Gauge({
    name: "rdev_operation_duration_seconds",
    help: "Average duration of the operations that ended within the last hour.",
    labelNames: ["kind", "state"],
    registers: [registry],
  });
  const queue = new Gauge({
    name: "rdev_operation_queue_oldest_seconds",
    help: "Age of the oldest queued operation; 0 if none is queued.",
    registers: [registry],
  });
  new Gauge({
    name: "rdev_operations",
    help: "Recorded operations by kind and state.",
    labelNames: ["kind", "state"],
    registers: [registry],
    async collect() {
      this.reset();
      duration.reset();
      const counted = await countOperations(store).catch(() => undefined);
      queue.set(counted?.oldest ?? Number.NaN);
      if (!counted) return;
      for (const kind of OPERATION_KINDS) {
        for (const state of OPERATION_STATES) this.set({ kind, state }, 0);
      }
      for (const { kind, state, count, seconds } of counted.rows) {
        this.set({ kind, state }, count);
        if (seconds !== null) duration.set({ kind, state }, seconds);
      }
    },
  });
}

async function countOperations(store: Store): Promise<{ rows: OperationCount[]; oldest: number }> {
  const { rows } = await store.run((db) =>
    sql<OperationCount>`
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
