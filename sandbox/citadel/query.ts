import type { FastifyInstance, FastifyRequest } from "fastify";
import { parseCpl } from "./cpl.ts";
import { CitadelError } from "./errors.ts";
import type { Condition, QueryScope, Store, StoredEvent } from "./store.ts";
import { tenantOfHeader } from "./tenant-header.ts";

const DEFAULT_RANGE = "24h"; // assumed: the contract names none
const DEFAULT_LIMIT = "100"; // assumed, likewise
const MAX_LIMIT = 500;
const UNIT_MS: Record<string, number> = { m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Queries over one environment, a group or the whole organization. */
export function queryRoutes(app: FastifyInstance, store: Store): void {
  app.get("/api/v1/query", async (request) => {
    const started = performance.now();
    const query = request.query as { q?: string; range?: string; limit?: string };
    if (query.q === undefined) throw new CitadelError(400, "q is missing");
    const conditions = [...parseCpl(query.q), since(query.range ?? DEFAULT_RANGE)];
    const limit = parseLimit(query.limit ?? DEFAULT_LIMIT);
    const { events, total } = store.search(scopeOf(store, request), conditions, limit);
    return {
      entries: events.map(entryOf),
      episodes: [],
      total,
      duration_ms: Math.round(performance.now() - started),
    };
  });
}

function scopeOf(store: Store, request: FastifyRequest): QueryScope {
  const id = tenantOfHeader(store, request);
  const name = request.headers["x-tenant-group"];
  if (id !== undefined && name !== undefined) {
    throw new CitadelError(400, "give X-Tenant-ID or X-Tenant-Group, not both");
  }
  if (id !== undefined) return { kind: "tenant", id };
  if (name === undefined) return { kind: "organization" };
  if (typeof name !== "string" || !store.hasGroup(name)) {
    throw new CitadelError(404, `no tenant group ${String(name)}`);
  }
  return { kind: "group", name };
}

function since(range: string): Condition {
  const [, count, unit = ""] = /^([1-9]\d{0,5})([mhd])$/.exec(range) ?? [];
  const unitMs = UNIT_MS[unit];
  if (count === undefined || unitMs === undefined) {
    throw new CitadelError(400, `range must be like 30m, 1h or 7d, not "${range}"`);
  }
  // Both sides have the same form, so that text compares as time does.
  const from = new Date(Date.now() - Number(count) * unitMs).toISOString();
  return { sql: "timestamp >= ?", values: [from] };
}

function parseLimit(text: string): number {
  const limit = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (limit >= 1 && limit <= MAX_LIMIT) return limit;
  throw new CitadelError(400, `limit must be 1 to ${MAX_LIMIT}, not "${text}"`);
}

function entryOf({ id, timestamp, level, service, message, ...rest }: StoredEvent) {
  const { environment, target, fields } = rest;
  return {
    id,
    timestamp,
    level,
    service,
    message,
    trace_id: fields["trace_id"] ?? null,
    metadata: { environment, target, ...fields },
  };
}
