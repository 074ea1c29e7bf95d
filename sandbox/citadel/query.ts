import { randomUUID } from "node:crypto";
import type { FastifyInstance } from "fastify";
import { z } from "zod";
import type { Cpl } from "./cpl/ast.ts";
import { spanMs } from "../../core/units.ts";
import { CitadelError, parseBody } from "./http.ts";
import { entryOf, type Logs } from "./logs.ts";
import { queryOf, scopeOf } from "./scope.ts";
import type { Tenants } from "./tenants.ts";

const DEFAULT_RANGE = "24h"; // assumed: the contract names no default
const DEFAULT_LIMIT = "100"; // assumed, likewise
const MAX_LIMIT = 500;

const newAnnotation = z.object({
  log_id: z.string(),
  content: z.string().trim().min(1).max(10_000),
  annotation_type: z.string().min(1).max(64),
  author_type: z.string().min(1).max(64),
});

/** Queries over one environment, a group or the whole organization, and notes on log entries. */
export function queryRoutes(app: FastifyInstance, tenants: Tenants, logs: Logs): void {
  app.get("/api/v1/query", async (request) => {
    const started = performance.now();
    const { range, limit } = request.query as { range?: string; limit?: string };
    const cpl = queryOf(request);
    const search = { tenants: tenants.idsIn(scopeOf(tenants, request)), cpl };
    const found = logs.newest({ ...search, ...sinceOf(range, cpl) });
    return {
      entries: found.slice(0, parseLimit(limit ?? DEFAULT_LIMIT)).map(entryOf),
      episodes: [],
      total: found.length,
      duration_ms: Math.round(performance.now() - started),
    };
  });

  // Nothing is stored: the contract has no call that reads an annotation.
  app.post("/api/v1/annotations", async (request, reply) => {
    const wanted = parseBody(newAnnotation, request.body, 422);
    if (!logs.has(wanted.log_id)) throw new CitadelError(404, `no log entry ${wanted.log_id}`);
    const annotation = { id: randomUUID(), ...wanted, created_at: new Date().toISOString() };
    return reply.code(201).send(annotation);
  });
}

/** A query that contains `time:` is not limited by the default range. */
function sinceOf(range: string | undefined, cpl: Cpl): { since?: number } {
  if (range === undefined && hasTime(cpl)) return {};
  const text = range ?? DEFAULT_RANGE;
  const ms = spanMs(text);
  if (ms === undefined) {
    throw new CitadelError(400, `range must be like 30m, 1h or 7d, not "${text}"`);
  }
  return { since: Date.now() - ms };
}

function hasTime(cpl: Cpl): boolean {
  if (cpl.kind === "and" || cpl.kind === "or") return cpl.terms.some(hasTime);
  return cpl.kind === "not" ? hasTime(cpl.term) : cpl.kind === "time";
}

function parseLimit(text: string): number {
  const limit = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (limit >= 1 && limit <= MAX_LIMIT) return limit;
  throw new CitadelError(400, `limit must be 1 to ${MAX_LIMIT}, not "${text}"`);
}
