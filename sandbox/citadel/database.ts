import { closeSync, openSync } from "node:fs";
import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite";

const SCHEMA = `
  PRAGMA foreign_keys = ON;
  PRAGMA cache_size = -262144; -- KiB at most: what is indexed by value is written all over
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = OFF; -- a run outlives its process, not the machine
  PRAGMA wal_autocheckpoint = 50000; -- pages: one that is written often is copied once
  CREATE TABLE IF NOT EXISTS keys (
    key TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    scopes TEXT NOT NULL
  );
  CREATE TABLE IF NOT EXISTS tenants (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    slug TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    metadata TEXT NOT NULL,
    created_at TEXT NOT NULL
  );
  CREATE TABLE IF NOT EXISTS tenant_groups (name TEXT PRIMARY KEY);
  CREATE TABLE IF NOT EXISTS members (
    group_name TEXT NOT NULL REFERENCES tenant_groups ON DELETE CASCADE,
    tenant TEXT NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    PRIMARY KEY (group_name, tenant)
  );
  CREATE TABLE IF NOT EXISTS fields (
    number INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
  );
  -- time: ms since 1970. leaves: {"<field's number>": value}, what CPL compares.
  CREATE TABLE IF NOT EXISTS events (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant INTEGER NOT NULL,
    time INTEGER NOT NULL,
    level TEXT NOT NULL,
    service TEXT NOT NULL,
    message TEXT NOT NULL,
    environment TEXT,
    target TEXT,
    fields TEXT NOT NULL,
    leaves BLOB NOT NULL
  );
  CREATE INDEX IF NOT EXISTS events_by_time ON events (tenant, time);
  -- The leaves again, to be found by value. A value has no type of its own: numbers sort before texts.
  CREATE TABLE IF NOT EXISTS leaves (
    tenant INTEGER NOT NULL,
    field INTEGER NOT NULL,
    value ANY NOT NULL,
    time INTEGER NOT NULL,
    event INTEGER NOT NULL,
    PRIMARY KEY (tenant, field, value, time, event)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS fingerprints (
    tenant INTEGER NOT NULL,
    fingerprint TEXT NOT NULL,
    PRIMARY KEY (tenant, fingerprint)
  ) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS webhooks (
    id TEXT PRIMARY KEY,
    url TEXT NOT NULL,
    secret TEXT NOT NULL,
    created_at TEXT NOT NULL
  );
  CREATE TABLE IF NOT EXISTS annotations (
    id TEXT PRIMARY KEY,
    event INTEGER NOT NULL REFERENCES events ON DELETE CASCADE,
    content TEXT NOT NULL,
    annotation_type TEXT NOT NULL,
    author_type TEXT NOT NULL,
    created_at TEXT NOT NULL
  );
  CREATE INDEX IF NOT EXISTS annotations_by_event ON annotations (event);
`;

export type Row = Record<string, unknown>;
export type Value = SQLInputValue;

/** SQLite, with each statement prepared once. */
export class Database {
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();

  /** In memory without a file; a file that exists is gone on with. */
  constructor(file?: string) {
    // It holds keys: for nobody else to read. SQLite gives its other files the same mode.
    if (file !== undefined) closeSync(openSync(file, "a", 0o600));
    this.#database = new DatabaseSync(file ?? ":memory:");
    this.#database.exec(SCHEMA);
    // SQLite's own lower() knows ASCII only.
    this.#database.function("lower_case", { deterministic: true }, (text) =>
      typeof text === "string" ? text.toLowerCase() : null,
    );
  }

  close(): void {
    this.#statements.clear();
    this.#database.close();
  }

  all(sql: string, values: readonly Value[] = []): Row[] {
    return this.#prepare(sql).all(...values);
  }

  first(sql: string, values: readonly Value[] = []): Row | undefined {
    return this.#prepare(sql).get(...values);
  }

  /** How many rows it changed, and the number of the last one that it added. */
  run(sql: string, values: readonly Value[] = []): { changes: number; last: number } {
    const { changes, lastInsertRowid } = this.#prepare(sql).run(...values);
    return { changes: Number(changes), last: Number(lastInsertRowid) };
  }

  /** All of `work` or, when it throws, nothing of it. */
  transaction<T>(work: () => T): T {
    this.#database.exec("BEGIN");
    try {
      const done = work();
      this.#database.exec("COMMIT");
      return done;
    } catch (error) {
      this.#database.exec("ROLLBACK");
      throw error;
    }
  }

  #prepare(sql: string): StatementSync {
    const known = this.#statements.get(sql);
    if (known) return known;
    const statement = this.#database.prepare(sql);
    if (this.#statements.size >= MAX_STATEMENTS) this.#statements.clear();
    this.#statements.set(sql, statement);
    return statement;
  }
}

/** Every query of another shape is another statement. */
const MAX_STATEMENTS = 200;
