import type { Cpl } from "./cpl/ast.ts";
import { condition, type Sql, type Way, ways } from "./cpl-to-sql.ts";
import type { Database, Row } from "./database.ts";
import { leafOf, leavesOf, type Leaf } from "./leaves.ts";

export interface LogEvent {
  /** RFC 3339, milliseconds, Z. */
  readonly timestamp: string;
  readonly level: string;
  readonly service: string;
  readonly message: string;
  readonly environment: string | null;
  readonly target: string | null;
  readonly fields: Record<string, unknown>;
}

/** An event as a query finds it. */
export interface StoredEvent extends LogEvent {
  readonly id: string;
}

export interface Search {
  /** The numbers of the tenants whose logs are searched. */
  readonly tenants: readonly number[];
  readonly cpl: Cpl;
  /** In ms since 1970. Default: of all times. */
  readonly since?: number;
}

/** The own fields that are found by index, beside those in `fields`. */
const OWN = ["level", "service", "environment", "target"] as const;
/** Own, and found elsewhere: in `fields` the names mean nothing. */
const SHADOWED = ["message", "timestamp"] as const;

const MAX_COUNT = 100_000; // what is counted to choose between ways: about 5 ms

/** The logs of all tenants. */
export class Events {
  readonly #database: Database;
  readonly #fields = new Map<string, number>();
  readonly #listeners = new Set<() => void>();

  constructor(database: Database) {
    this.#database = database;
    for (const { number, name } of database.all("SELECT number, name FROM fields")) {
      this.#fields.set(name as string, number as number);
    }
  }

  /** Is called after every batch. Gives what ends it. */
  onAdded(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** All of them or, on an error, none. @throws BadValue */
  add(tenant: number, events: readonly LogEvent[]): void {
    const ready = events.map((event) => ({ event, leaves: leavesOfEvent(event) }));
    this.#database.transaction(() => {
      for (const { event, leaves } of ready) this.#add(tenant, event, leaves);
    });
    for (const listener of this.#listeners) listener();
  }

  has(id: string): boolean {
    const sql = "SELECT 1 FROM events WHERE id = ?";
    return /^\d{1,15}$/.test(id) && this.#database.first(sql, [Number(id)]) !== undefined;
  }

  /** The largest id there ever was. */
  last(): number {
    const sql = "SELECT seq FROM sqlite_sequence WHERE name = 'events'";
    return Number(this.#database.first(sql)?.["seq"] ?? 0);
  }

  /** Newest first, at most `limit`; `total` counts all that match. */
  newest(search: Search, limit: number): { events: StoredEvent[]; total: number } {
    const { source, held } = this.#source(search);
    const matches = condition(search.cpl, this.#numberOf, Date.now(), held);
    const from = `FROM (${source.sql}) h WHERE ${matches.sql}`;
    const values = [...source.values, ...matches.values];
    const counted = this.#database.first(`SELECT count(*) AS total ${from}`, values);
    const total = Number(counted?.["total"] ?? 0);
    if (total === 0) return { events: [], total };
    const rows = this.#database.all(
      `SELECT events.* FROM (
         SELECT h.event ${from} ORDER BY h.time DESC, h.event DESC LIMIT ?
       ) found JOIN events ON events.id = found.event ORDER BY time DESC, id DESC`,
      [...values, limit],
    );
    return { events: rows.map(eventOf), total };
  }

  /** What came after the event of this id, in the order in which it came; and the id looked up to. */
  after(search: Search, id: number, limit: number): { events: StoredEvent[]; upTo: number } {
    const last = this.last();
    if (last <= id) return { events: [], upTo: id };
    const matches = condition(search.cpl, this.#numberOf, Date.now());
    const rows = this.#database.all(
      `SELECT events.* FROM (
         SELECT tenant, time, id AS event FROM events NOT INDEXED
         WHERE id > ? AND ${among(search.tenants)}
       ) h JOIN events ON events.id = h.event WHERE ${matches.sql} ORDER BY h.event LIMIT ?`,
      [id, ...matches.values, limit],
    );
    const events = rows.map(eventOf);
    const upTo = rows.length < limit ? last : Number(rows.at(-1)?.["id"]);
    return { events, upTo };
  }

  /** Of a tenant that goes. */
  deleteAll(tenant: number): void {
    for (const table of ["leaves", "events", "fingerprints"]) {
      this.#database.run(`DELETE FROM ${table} WHERE tenant = ?`, [tenant]);
    }
  }

  #add(tenant: number, event: LogEvent, leaves: ReadonlyMap<string, Leaf>): void {
    const { timestamp, level, service, message, environment, target, fields } = event;
    const time = Date.parse(timestamp);
    const numbered = [...leaves].map(([name, leaf]) => [this.#number(name), leaf] as const);
    const { last } = this.#database.run(
      `INSERT INTO events
         (tenant, time, level, service, message, environment, target, fields, leaves)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, jsonb(?))`,
      [
        ...[tenant, time, level, service, message, environment, target],
        ...[JSON.stringify(fields), JSON.stringify(Object.fromEntries(numbered))],
      ],
    );
    const insert = "INSERT INTO leaves (tenant, field, value, time, event) VALUES (?, ?, ?, ?, ?)";
    for (const [field, leaf] of numbered) {
      this.#database.run(insert, [tenant, field, leaf, time, last]);
    }
  }

  readonly #numberOf = (name: string): number | undefined => this.#fields.get(name);

  /** Made where it is new. */
  #number(name: string): number {
    const known = this.#fields.get(name);
    if (known !== undefined) return known;
    this.#database.run("INSERT OR IGNORE INTO fields (name) VALUES (?)", [name]);
    const row = this.#database.first("SELECT number FROM fields WHERE name = ?", [name]);
    const number = Number(row?.["number"]);
    this.#fields.set(name, number);
    return number;
  }

  /** Rows (tenant, time, event) that hold everything that matches, as few as an index can tell. */
  #source({ tenants, cpl, since }: Search): { source: Sql; held?: Cpl | undefined } {
    const scope: Sql =
      since === undefined
        ? { sql: among(tenants), values: [] }
        : { sql: `${among(tenants)} AND time >= ?`, values: [since] };
    const all = ways(cpl, this.#numberOf);
    const way = all.length < 2 ? all[0] : this.#shortest(all, scope);
    if (way) return { source: union(way, scope), held: way.held };
    const { sql, values } = scope;
    return { source: { sql: `SELECT tenant, time, id AS event FROM events WHERE ${sql}`, values } };
  }

  #shortest(all: readonly Way[], scope: Sql): Way | undefined {
    const counted = all.map((way) => {
      const { sql, values } = union(way, scope);
      const row = this.#database.first(
        `SELECT count(*) AS n FROM (SELECT 1 FROM (${sql}) LIMIT ${MAX_COUNT})`,
        values,
      );
      return { way, count: Number(row?.["n"]) };
    });
    return counted.sort((one, other) => one.count - other.count)[0]?.way;
  }
}

const NO_ROWS: Sql = { sql: "SELECT 0 AS tenant, 0 AS time, 0 AS event WHERE FALSE", values: [] };

/** A row of two ranges comes once. */
function union({ ranges }: Way, scope: Sql): Sql {
  if (ranges.length === 0) return NO_ROWS;
  const parts = ranges.map(({ field, bounds }) => ({
    sql: `SELECT tenant, time, event FROM leaves
      WHERE field = ${field} AND ${bounds.sql} AND ${scope.sql}`,
    values: [...bounds.values, ...scope.values],
  }));
  return {
    sql: parts.map(({ sql }) => sql).join(" UNION "),
    values: parts.flatMap(({ values }) => values),
  };
}

function among(tenants: readonly number[]): string {
  return `tenant IN (${tenants.join(", ")})`;
}

function leavesOfEvent(event: LogEvent): Map<string, Leaf> {
  leafOf(event.message, "message");
  const leaves = leavesOf(event.fields);
  for (const name of SHADOWED) leaves.delete(name);
  for (const name of OWN) {
    const value = event[name];
    if (value === null) leaves.delete(name);
    else leaves.set(name, leafOf(value, name));
  }
  return leaves;
}

function eventOf(row: Row): StoredEvent {
  return {
    id: String(row["id"]),
    timestamp: new Date(row["time"] as number).toISOString(),
    level: row["level"] as string,
    service: row["service"] as string,
    message: row["message"] as string,
    environment: row["environment"] as string | null,
    target: row["target"] as string | null,
    fields: JSON.parse(row["fields"] as string) as Record<string, unknown>,
  };
}
