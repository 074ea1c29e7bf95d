import { sql } from "kysely";
import { spanMs } from "../../core/units.ts";
import type { Citadel, Entry } from "../../providers/citadel/port.ts";
import type { AuditRow } from "../store/schema.ts";
import type { Store } from "../store/store.ts";
import { FIRST_HASH, rowHash } from "./log.ts";

const PAGE = 1_000;

interface BrokenRow {
  readonly id: number;
  readonly reason: string;
}

interface Verification {
  /** Valid rows before the first broken one. */
  readonly rows: number;
  /** Hash of the last valid row. A later check can compare it to detect rows cut off the end. */
  readonly hash: string;
  readonly broken?: BrokenRow;
}

/** Checks the hash chain from the first row on, and stops at the first broken row. */
export async function verifyChain(store: Store): Promise<Verification> {
  let rows = 0;
  let hash = FIRST_HASH;
  let lastId = Number.MIN_SAFE_INTEGER;
  for (;;) {
    const page = await store.run((db) =>
      db
        .selectFrom("audit_log")
        .selectAll()
        .where("id", ">", lastId)
        .orderBy("id")
        .limit(PAGE)
        .execute(),
    );
    for (const row of page) {
      const reason = problemOf(row, hash);
      if (reason !== undefined) return { rows, hash, broken: { id: row.id, reason } };
      rows += 1;
      ({ id: lastId, hash } = row);
    }
    if (page.length < PAGE) return { rows, hash };
  }
}

function problemOf(row: AuditRow, previousHash: string): string | undefined {
  if (row.prev_hash !== previousHash) {
    return previousHash === FIRST_HASH
      ? "it is not the first row of a chain: rows before it were removed"
      : "it does not follow the row before it: rows between them were removed, changed or added";
  }
  return row.hash === rowHash(row) ? undefined : "its content does not match its hash";
}

/** Ids per query: half of Citadel's limit, because an event may have been shipped twice. */
const WINDOW = 250;
/** Citadel's limit for a query. */
const MAX_ENTRIES = 500;
/** In ms: clocks and Citadel's index may lag by so much at both ends of the time range. */
const GRACE = 60_000;

interface CompareOptions {
  readonly store: Store;
  readonly citadel: Pick<Citadel, "query">;
  /** The tenant that the events were shipped to. */
  readonly tenant: string;
  /** The platform, for example `staging`: the `environment` field of the events. */
  readonly platform: string;
  /** How far back to compare, for example `7d`. */
  readonly last: string;
}

export interface Comparison extends Gaps {
  /** Events that Citadel has. */
  readonly compared: number;
  readonly broken?: BrokenRow;
}

/**
 * Compares Citadel's copy of the audit log with the log and with the record of shipped events. This
 * finds rows that were cut off the end, a chain that was rebuilt, and a copy that was deleted, which
 * the chain alone cannot show. Events that wait to be shipped are not a difference.
 */
export async function compareWithCitadel(options: CompareOptions): Promise<Comparison> {
  const { store, platform } = options;
  const { first, last, since, settled } = await bounds(options);
  const counter = new GapCounter(store, settled);
  let compared = 0;
  let broken: Comparison["broken"];
  for (let from = first; ; from += WINDOW) {
    const isLast = from > last;
    const to = from + WINDOW - 1;
    const copies = await copiesIn(options, from, isLast ? Infinity : to);
    const ids = new Set(copies.map(({ id }) => id));
    compared += ids.size;
    broken ??= await firstDifference(store, copies);
    if (isLast) return { compared, ...(broken && { broken }), ...counter.gaps };
    await counter.count({ platform, from, to, since }, ids);
  }
}

interface Bounds {
  /** Ids in the log and in the record of shipped events. */
  readonly first: number;
  readonly last: number;
  /** Citadel still shows every event recorded after this time. */
  readonly since: Date;
  /** Citadel already shows every event shipped before this time. */
  readonly settled: Date;
}

async function bounds({ store, last }: CompareOptions): Promise<Bounds> {
  const start = new Date(Date.now() - (spanMs(last) ?? 0));
  const { rows } = await store.run((db) =>
    sql<{ first: number | null; last: number; settled: Date }>`
      SELECT min(id) FILTER (WHERE at >= ${start}) AS first, coalesce(max(id), 0) AS last,
             now() - ${GRACE} * interval '1 ms' AS settled
      FROM (SELECT id, at FROM audit_log UNION ALL SELECT audit_id, at FROM audit_shipped) AS known
    `.execute(db),
  );
  const row = rows[0]!;
  const since = new Date(start.getTime() + GRACE);
  return { ...row, first: row.first ?? row.last + 1, since };
}

interface Copy {
  readonly id: number;
  readonly hash: string;
}

/** With `to` infinite, one page suffices: no event should exist beyond the end of the log. */
async function copiesIn(options: CompareOptions, from: number, to: number): Promise<Copy[]> {
  const { citadel, tenant, platform, last } = options;
  // A platform's name needs no quotes in CPL, Citadel's query language.
  const ids = `event_id:>=${from}${to === Infinity ? "" : ` event_id:<=${to}`}`;
  const cpl = `service:rdev-infra target:audit environment:${platform} ${ids}`;
  const { entries, total } = await citadel.query({ tenant }, cpl, {
    range: last,
    limit: MAX_ENTRIES,
  });
  if (total <= entries.length || to === Infinity || from === to) return entries.map(copyOf);
  const middle = Math.floor((from + to) / 2);
  return [...(await copiesIn(options, from, middle)), ...(await copiesIn(options, middle + 1, to))];
}

function copyOf({ metadata }: Entry): Copy {
  return { id: Number(metadata["event_id"]), hash: String(metadata["hash"]) };
}

async function firstDifference(
  store: Store,
  copies: readonly Copy[],
): Promise<BrokenRow | undefined> {
  if (copies.length === 0) return undefined;
  const ids = copies.map(({ id }) => id);
  const rows = await store.run((db) =>
    db.selectFrom("audit_log").select(["id", "hash"]).where("id", "in", ids).execute(),
  );
  const hashes = new Map(rows.map(({ id, hash }) => [id, hash]));
  const [wrong] = copies
    .filter(({ id, hash }) => hashes.get(id) !== hash)
    .sort((a, b) => a.id - b.id);
  if (!wrong) return undefined;
  const reason = hashes.has(wrong.id)
    ? "Citadel's copy of it is different"
    : "Citadel has a copy of it, but the audit log lacks it";
  return { id: wrong.id, reason };
}

/** Events that were shipped to Citadel, and that it lacks. */
export interface Missing {
  readonly count: number;
  /** Id of the first one, with the tenant and the time that it was shipped. */
  readonly first: number;
  readonly tenant: string;
  readonly shippedAt: Date;
}

interface Gaps {
  readonly missing?: Missing;
  /** Events that were shipped too recently to count as missing. */
  readonly recent?: number;
  /** Events that Citadel lacks, and that have no record of being shipped. */
  readonly unknown?: number;
}

/** A range of the audit log. */
interface Range {
  readonly platform: string;
  /** Ids, both included. */
  readonly from: number;
  readonly to: number;
  /** Older events are left out. */
  readonly since: Date;
}

interface ShippedEvent {
  readonly id: number;
  readonly tenant: string;
  /** The last time it was shipped. */
  readonly shippedAt: Date;
}

/** Counts the events that Citadel lacks, range by range in ascending order. */
class GapCounter {
  readonly #store: Store;
  /** Events that were shipped later may not be visible yet. */
  readonly #settled: Date;
  #missing = 0;
  #first: ShippedEvent | undefined;
  #recent = 0;
  #unknown = 0;

  constructor(store: Store, settled: Date) {
    this.#store = store;
    this.#settled = settled;
  }

  /** `present`: the ids of the range that Citadel has. */
  async count(range: Range, present: ReadonlySet<number>): Promise<void> {
    for (const event of await shippedEvents(this.#store, range)) {
      if (present.has(event.id)) continue;
      if (event.shippedAt > this.#settled) this.#recent += 1;
      else {
        this.#missing += 1;
        this.#first ??= event;
      }
    }
    const unrecorded = await withoutRecord(this.#store, range);
    this.#unknown += unrecorded.filter((id) => !present.has(id)).length;
  }

  /** Counts of zero are left out. */
  get gaps(): Gaps {
    return {
      ...(this.#first && { missing: missing(this.#missing, this.#first) }),
      ...(this.#recent > 0 && { recent: this.#recent }),
      ...(this.#unknown > 0 && { unknown: this.#unknown }),
    };
  }
}

function missing(count: number, { id, tenant, shippedAt }: ShippedEvent): Missing {
  return { count, first: id, tenant, shippedAt };
}

/** The shipped events of a range, oldest first, whether or not the log still has them. */
async function shippedEvents(store: Store, range: Range): Promise<ShippedEvent[]> {
  const { platform, from, to, since } = range;
  const { rows } = await store.run((db) =>
    sql<ShippedEvent>`
      SELECT DISTINCT ON (audit_id) audit_id AS id, tenant_id AS tenant, shipped_at AS "shippedAt"
      FROM audit_shipped
      WHERE audit_id >= ${from} AND audit_id <= ${to} AND platform = ${platform} AND at >= ${since}
      ORDER BY audit_id, shipped_at DESC`.execute(db),
  );
  return rows;
}

/**
 * Ids of events that neither wait to be shipped nor have a record of it. An older version shipped
 * them without a record, or they were recorded while Citadel was disabled.
 */
async function withoutRecord(store: Store, { from, to, since }: Range): Promise<number[]> {
  const { rows } = await store.run((db) =>
    sql<{ id: number }>`
      SELECT id FROM audit_log l
      WHERE id >= ${from} AND id <= ${to} AND at >= ${since}
        AND NOT EXISTS (SELECT FROM audit_outbox WHERE audit_id = l.id)
        AND NOT EXISTS (SELECT FROM audit_shipped WHERE audit_id = l.id)`.execute(db),
  );
  return rows.map(({ id }) => id);
}
