import type { StoredEvent } from "./events.ts";

/** An event, as queries and the tail answer it. */
export function entryOf({ id, timestamp, level, service, message, ...rest }: StoredEvent) {
  const { environment, target, fields } = rest;
  const trace = fields["trace_id"];
  return {
    id,
    timestamp,
    level,
    service,
    message,
    trace_id: typeof trace === "string" ? trace : null,
    metadata: { environment, target, ...fields },
  };
}
