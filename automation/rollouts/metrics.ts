import { Gauge, type Registry } from "prom-client";
import { ROLLOUT_STATES } from "../../core/rollout.ts";
import type { Store } from "../store/store.ts";

/**
 * Reports the rollouts of all platforms in the database, which is queried on each scrape. While it is
 * down nothing is reported.
 */
export function registerRolloutMetrics(registry: Registry, store: Store): void {
  new Gauge({
    name: "rdev_rollouts",
    help: "Rollouts by state. Ended ones are kept for 90 days.",
    labelNames: ["state"],
    registers: [registry],
    async collect() {
      this.reset();
      const rows = await countRollouts(store).catch(() => undefined);
      if (!rows) return;
      for (const state of ROLLOUT_STATES) this.set({ state }, 0);
      for (const { state, count } of rows) this.set({ state }, count);
    },
  });
}

function countRollouts(store: Store) {
  return store.run((db) =>
    db
      .selectFrom("rollouts")
      .select("state")
      .select((by) => by.fn.countAll<number>().as("count"))
      .groupBy("state")
      .execute(),
  );
}
