import { sql } from "kysely";
import { print } from "../../core/cpl/printer.ts";
import { rangeMs } from "../../core/cpl/range.ts";
import type { Citadel, Entry } from "../../providers/citadel/port.ts";
import type { Store } from "../store/store.ts";
import { GapCounter, type Gaps } from "./copy-gaps.ts";

/** Ids asked for at once: half of what Citadel gives at most, for an event may be there twice. */
const WINDOW = 250;
const MOST = 500;
/** In ms, at both ends of the time that Citadel is asked about. */
const GRACE = 60_000;

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

export interface Comparison extends Gaps {
  /** Events that Citadel has. */
  readonly compared: number;
  readonly broken?: { readonly id: number; readonly reason: string };
}

/**
 * Compares what Citadel has of the audit log with the log itself, and with the notes of what was
 * shipped. So rows that were cut off its end are found, and a chain that was made anew, which the chain
 * alone cannot show, and a copy that is gone. What is not shipped yet is no difference.
 */
export async function compareWithCitadel(options: CopyOptions): Promise<Comparison> {
  const { store, platform } = options;
  const { first, last, since, settled } = await ends(options);
  const counter = new GapCounter(store, settled);
  let compared = 0;
  let broken: Comparison["broken"];
  for (let from = first; ; from += WINDOW) {
    const isLast = from > last;
    const to = from + WINDOW - 1;
    const entries = await copies(options, from, isLast ? Infinity : to);
    const there = new Set(entries.map(({ id }) => id));
    compared += there.size;
    broken ??= await firstDifference(store, entries);
    if (isLast) return { compared, ...(broken && { broken }), ...counter.gaps };
    await counter.look({ platform, from, to, since }, there);
  }
}

interface Ends {
  /** Ids, of the log and of what was shipped. */
  readonly first: number;
  readonly last: number;
  /** Citadel surely still shows what was recorded since then. */
  readonly since: Date;
  /** Citadel surely already shows what was shipped until then. */
  readonly settled: Date;
}

/** The ids of the rows that `last` goes back to. */
async function ends({ store, last }: CopyOptions): Promise<Ends> {
  const start = new Date(Date.now() - (rangeMs(last) ?? 0));
  const { rows } = await store.run((db) =>
    sql<{ first: number | null; last: number; settled: Date }>`
      SELECT min(id) FILTER (WHERE at >= ${start}) AS first, coalesce(max(id), 0) AS last,
             now() - ${GRACE} * interval '1 ms' AS settled
      FROM (SELECT id, at FROM audit_log UNION ALL SELECT audit_id, at FROM audit_shipped) AS known
    `.execute(db),
  );
  const end = rows[0]!;
  const since = new Date(start.getTime() + GRACE);
  return { ...end, first: end.first ?? end.last + 1, since };
}

interface Copy {
  readonly id: number;
  readonly hash: string;
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
