import { Gauge, type Registry } from "prom-client";
import type { Store } from "../store/store.ts";
import { backlog, type Backlog } from "./outbox.ts";

const GAUGES: readonly { name: string; help: string; of: keyof Backlog }[] = [
  {
    name: "rdev_audit_outbox_backlog",
    help: "Audit events that wait to be shipped to Citadel.",
    of: "waiting",
  },
  {
    name: "rdev_audit_outbox_oldest_seconds",
    help: "Age of the oldest audit event that waits to be shipped; 0 where none waits.",
    of: "oldestSeconds",
  },
  {
    name: "rdev_audit_outbox_refused",
    help: "Audit events that Citadel refused for good, kept aside.",
    of: "refused",
  },
];

/** Shows the outbox. It is counted whenever the metrics are read; NaN while PostgreSQL is down. */
export function registerAuditMetrics(registry: Registry, store: Store): void {
  for (const { name, help, of } of GAUGES) {
    new Gauge({
      name,
      help,
      registers: [registry],
      async collect() {
        const counted = await backlog(store).catch(() => undefined);
        this.set(counted?.[of] ?? Number.NaN);
      },
    });
  }
}
