import type { CitadelEvent } from "../../providers/citadel/port.ts";
import type { AuditRow } from "../store/schema.ts";

/**
 * A row as Citadel gets it. `event_id` is the same however often it is sent; with `hash`, the chain
 * can be checked against what left the database.
 */
export function citadelEvent(row: AuditRow, platform: string): CitadelEvent {
  const { id, at, action, project_id, actor, result, duration_ms, component, details, hash } = row;
  return {
    message: [action, project_id, result].filter((word) => word !== null).join(" "),
    level: result === "failure" ? "error" : "info",
    timestamp: at.toISOString(),
    service: "rdev-infra",
    environment: platform,
    target: "audit",
    fields: {
      ...{ event_id: id, action, actor, result, component, details, hash },
      ...(project_id !== null && { project_id }),
      ...(duration_ms !== null && { duration_ms }),
    },
  };
}
