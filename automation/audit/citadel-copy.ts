import { sql } from "kysely";
import { print } from "../../core/cpl/printer.ts";
import { rangeMs } from "../../core/cpl/range.ts";
import type { Citadel, Entry } from "../../providers/citadel/port.ts";
import type { Store } from "../store/store.ts";

/** Ids asked for at once: half of what Citadel gives at most, for an event may be there twice. */
const WINDOW = 250;
const MOST = 500;

export interface CopyOptions {
  readonly store: Store;
  readonly citadel: Pick<Citadel, "query">;
  /** The tenant that the events were shipped to. */
  readonly tenant: string;
  /** `staging`: the events' `environment`. */
  readonly platform: string;
  /** `7d`: how far back. */
  readonly last: string;
}

export interface Comparison {
  /** Events that Citadel has. */
  readonly compared: number;
  readonly broken?: { readonly id: number; readonly reason: string };
}

/**
 * Compares what Citadel has of the audit log with the log itself. So rows that were cut off its end are
 * found, and a chain that was made anew, which the chain alone cannot show. What is not shipped yet is
 * no difference.
 */
export async function compareWithCitadel(options: CopyOptions): Promise<Comparison> {
  const { first, last } = await ends(options);
  let compared = 0;
  for (let from = first; ; from += WINDOW) {
    const isLast = from > last;
    const entries = await copies(options, from, isLast ? Infinity : from + WINDOW - 1);
    compared += new Set(entries.map(({ id }) => id)).size;
    const broken = await firstDifference(options.store, entries);
    if (broken || isLast) return { compared, ...(broken && { broken }) };
  }
}

interface Copy {
  readonly id: number;
  readonly hash: string;
}

/** The ids of the rows that `last` goes back to. */
async function ends({ store, last }: CopyOptions): Promise<{ first: number; last: number }> {
  const since = new Date(Date.now() - (rangeMs(last) ?? 0));
  const { rows } = await store.run((db) =>
    sql<{ first: number | null; last: number }>`
      SELECT min(id) FILTER (WHERE at >= ${since}) AS first, coalesce(max(id), 0) AS last
      FROM audit_log`.execute(db),
  );
  const end = rows[0]!;
  return { first: end.first ?? end.last + 1, last: end.last };
}

/** Beyond the end of the log the newest are enough: none should be there. */
async function copies(options: CopyOptions, from: number, to: number): Promise<Copy[]> {
  const { citadel, tenant, platform, last } = options;
  const cpl = print({
    kind: "and",
    terms: [
      { kind: "equals", field: "service", value: "rdev-infra" },
      { kind: "equals", field: "target", value: "audit" },
      { kind: "equals", field: "environment", value: platform },
      { kind: "compare", field: "event_id", operator: ">=", value: from },
      ...(to === Infinity
        ? []
        : [{ kind: "compare", field: "event_id", operator: "<=", value: to } as const]),
    ],
  });
  const { entries, total } = await citadel.query({ tenant }, cpl, { range: last, limit: MOST });
  if (total <= entries.length || to === Infinity || from === to) return entries.map(copyOf);
  const middle = Math.floor((from + to) / 2);
  return [...(await copies(options, from, middle)), ...(await copies(options, middle + 1, to))];
}

function copyOf({ metadata }: Entry): Copy {
  return { id: Number(metadata["event_id"]), hash: String(metadata["hash"]) };
}

async function firstDifference(
  store: Store,
  entries: readonly Copy[],
): Promise<Comparison["broken"]> {
  if (entries.length === 0) return undefined;
  const ids = entries.map(({ id }) => id);
  const rows = await store.run((db) =>
    db.selectFrom("audit_log").select(["id", "hash"]).where("id", "in", ids).execute(),
  );
  const hashes = new Map(rows.map(({ id, hash }) => [id, hash]));
  const [wrong] = entries
    .filter(({ id, hash }) => hashes.get(id) !== hash)
    .sort((one, other) => one.id - other.id);
  if (!wrong) return undefined;
  const reason = hashes.has(wrong.id)
    ? "Citadel's copy of it is another one"
    : "Citadel has a copy of it, and it is gone from here";
  return { id: wrong.id, reason };
}
