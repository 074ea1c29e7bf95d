import { connection } from "../../core/connections.ts";
import type { Store } from "../store/store.ts";
import { MultiWriter } from "./multi-writer.ts";
import type { AuditLog } from "./port.ts";
import { PostgresAuditLog } from "./postgres-log.ts";

/** The audit trail of a database. Its events are queued for Citadel unless that is switched off. */
export function auditLog(store: Store): AuditLog {
  const { enabled } = connection("citadelEnabled");
  return enabled ? new MultiWriter(store) : new PostgresAuditLog(store);
}
