import type { Registry } from "prom-client";
import { ROLLOUT_STATES } from "../../core/rollout.ts";
import { registerStateGauge } from "../store/gauges.ts";
import type { Store } from "../store/store.ts";

/** Reports the rollouts of all platforms in the database. */
export function registerRolloutMetrics(registry: Registry, store: Store): void {
  const gauge = {
    name: "rdev_rollouts",
    help: "Rollouts by state. Ended ones are kept for 90 days.",
    states: ROLLOUT_STATES,
  };
  registerStateGauge(registry, gauge, () => countRollouts(store));
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
