import type { FastifyInstance } from "fastify";
import type { Cpl } from "./cpl/ast.ts";
import { spanMs } from "../../core/units.ts";
import { entryOf } from "./entry.ts";
import { CitadelError } from "./errors.ts";
import type { Events } from "./events.ts";
import { queryOf, scopeOf } from "./search.ts";
import type { Store } from "./store.ts";

const DEFAULT_RANGE = "24h"; // assumed: the contract names none
const DEFAULT_LIMIT = "100"; // assumed, likewise
const MAX_LIMIT = 500;

/** Queries over one environment, a group or the whole organization. */
export function queryRoutes(app: FastifyInstance, store: Store, events: Events): void {
  app.get("/api/v1/query", async (request) => {
    const started = performance.now();
    const { range, limit } = request.query as { range?: string; limit?: string };
    const cpl = queryOf(request);
    const tenants = store.numbers(scopeOf(store, request));
    const search = { tenants, cpl, ...sinceOf(range, cpl) };
    const { events: found, total } = events.newest(search, parseLimit(limit ?? DEFAULT_LIMIT));
    return {
      entries: found.map(entryOf),
      episodes: [],
      total,
      duration_ms: Math.round(performance.now() - started),
    };
  });
}

/** A query that says `time:` itself is not cut by the default. */
function sinceOf(range: string | undefined, cpl: Cpl): { since?: number } {
  if (range === undefined && saysTime(cpl)) return {};
  const text = range ?? DEFAULT_RANGE;
  const ms = spanMs(text);
  if (ms === undefined) {
    throw new CitadelError(400, `range must be like 30m, 1h or 7d, not "${text}"`);
  }
  return { since: Date.now() - ms };
}

function saysTime(cpl: Cpl): boolean {
  switch (cpl.kind) {
    case "and":
    case "or":
      return cpl.terms.some(saysTime);
    case "not":
      return saysTime(cpl.term);
    case "time":
      return true;
    case "word":
    case "equals":
    case "compare":
      return false;
  }
}

function parseLimit(text: string): number {
  const limit = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (limit >= 1 && limit <= MAX_LIMIT) return limit;
  throw new CitadelError(400, `limit must be 1 to ${MAX_LIMIT}, not "${text}"`);
}
