import { randomUUID } from "node:crypto";
import { DatabaseSync, type SQLInputValue } from "node:sqlite";

export interface Tenant {
  readonly id: string;
  readonly slug: string;
  readonly name: string;
  readonly organization: string;
  readonly created_at: string;
  readonly metadata: Record<string, string>;
}

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

/** Whose logs are searched. */
export type QueryScope =
  | { readonly kind: "tenant"; readonly id: string }
  | { readonly kind: "group"; readonly name: string }
  | { readonly kind: "organization" };

/** A part of a WHERE clause over `events`, its values bound apart from it. */
export interface Condition {
  readonly sql: string;
  readonly values: readonly SQLInputValue[];
}

const SCHEMA = `
  PRAGMA foreign_keys = ON;
  CREATE TABLE tenants (
    id TEXT PRIMARY KEY,
    slug TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    metadata TEXT NOT NULL,
    created_at TEXT NOT NULL
  );
  CREATE TABLE tenant_groups (name TEXT PRIMARY KEY);
  CREATE TABLE members (
    group_name TEXT NOT NULL REFERENCES tenant_groups ON DELETE CASCADE,
    tenant TEXT NOT NULL REFERENCES tenants ON DELETE CASCADE,
    PRIMARY KEY (group_name, tenant)
  );
  CREATE TABLE events (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant TEXT NOT NULL REFERENCES tenants ON DELETE CASCADE,
    timestamp TEXT NOT NULL,
    level TEXT NOT NULL,
    service TEXT NOT NULL,
    message TEXT NOT NULL,
    environment TEXT,
    target TEXT,
    fields TEXT NOT NULL
  );
  CREATE INDEX events_by_time ON events (tenant, timestamp);
`;

/** One organization's tenants, groups and logs, in SQLite in memory. All SQL but a query's conditions is here. */
export class Store {
  readonly organization: string;
  readonly #database = new DatabaseSync(":memory:");

  constructor(organization: string) {
    this.organization = organization;
    this.#database.exec(SCHEMA);
  }

  close(): void {
    this.#database.close();
  }

  /** The slug must be free: see `tenantBySlug`. */
  addTenant(slug: string, name: string, metadata: Record<string, string>): Tenant {
    const id = randomUUID();
    const created_at = new Date().toISOString();
    this.#run("INSERT INTO tenants (id, slug, name, metadata, created_at) VALUES (?, ?, ?, ?, ?)", [
      id,
      slug,
      name,
      JSON.stringify(metadata),
      created_at,
    ]);
    return { id, slug, name, organization: this.organization, created_at, metadata };
  }

  tenant(id: string): Tenant | undefined {
    return this.#tenants("WHERE id = ?", [id.toLowerCase()])[0];
  }

  tenantBySlug(slug: string): Tenant | undefined {
    return this.#tenants("WHERE slug = ?", [slug])[0];
  }

  tenants(): Tenant[] {
    return this.#tenants("ORDER BY slug", []);
  }

  updateTenant({ id, name, metadata }: Tenant): void {
    const values = [name, JSON.stringify(metadata), id];
    this.#run("UPDATE tenants SET name = ?, metadata = ? WHERE id = ?", values);
  }

  /** Its logs and memberships go with it. False if there was none. */
  deleteTenant(id: string): boolean {
    return this.#run("DELETE FROM tenants WHERE id = ?", [id.toLowerCase()]) > 0;
  }

  /** True if it is new. */
  putGroup(name: string): boolean {
    return this.#run("INSERT OR IGNORE INTO tenant_groups (name) VALUES (?)", [name]) > 0;
  }

  hasGroup(name: string): boolean {
    return this.#all("SELECT name FROM tenant_groups WHERE name = ?", [name]).length > 0;
  }

  members(group: string): string[] {
    const sql = "SELECT tenant FROM members WHERE group_name = ? ORDER BY tenant";
    return this.#all(sql, [group]).map((row) => row["tenant"] as string);
  }

  /** Both must exist. */
  putMember(group: string, tenant: string): void {
    this.#run("INSERT OR IGNORE INTO members (group_name, tenant) VALUES (?, ?)", [group, tenant]);
  }

  deleteMember(group: string, tenant: string): void {
    const sql = "DELETE FROM members WHERE group_name = ? AND tenant = ?";
    this.#run(sql, [group, tenant.toLowerCase()]);
  }

  /** All of them or, on an error, none. */
  addEvents(tenant: string, events: readonly LogEvent[]): void {
    const insert = this.#database.prepare(
      `INSERT INTO events (tenant, timestamp, level, service, message, environment, target, fields)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
    );
    this.#database.exec("BEGIN");
    try {
      for (const event of events) {
        const { timestamp, level, service, message, environment, target } = event;
        const fields = JSON.stringify(event.fields);
        insert.run(tenant, timestamp, level, service, message, environment, target, fields);
      }
      this.#database.exec("COMMIT");
    } catch (error) {
      this.#database.exec("ROLLBACK");
      throw error;
    }
  }

  /** Newest first, at most `limit`; `total` counts all that match. */
  search(
    scope: QueryScope,
    conditions: readonly Condition[],
    limit: number,
  ): { events: StoredEvent[]; total: number } {
    const all = [scopeCondition(scope), ...conditions];
    const where = all.map(({ sql }) => `(${sql})`).join(" AND ");
    const values = all.flatMap((condition) => condition.values);
    const rows = this.#all(
      `SELECT *, count(*) OVER () AS total FROM events WHERE ${where}
       ORDER BY timestamp DESC, id DESC LIMIT ?`,
      [...values, limit],
    );
    return { events: rows.map(eventOf), total: Number(rows[0]?.["total"] ?? 0) };
  }

  #tenants(clause: string, values: readonly SQLInputValue[]): Tenant[] {
    return this.#all(`SELECT * FROM tenants ${clause}`, values).map((row) => ({
      id: row["id"] as string,
      slug: row["slug"] as string,
      name: row["name"] as string,
      organization: this.organization,
      created_at: row["created_at"] as string,
      metadata: JSON.parse(row["metadata"] as string) as Record<string, string>,
    }));
  }

  #all(sql: string, values: readonly SQLInputValue[]): Row[] {
    return this.#database.prepare(sql).all(...values);
  }

  /** How many rows it changed. */
  #run(sql: string, values: readonly SQLInputValue[]): number {
    return Number(this.#database.prepare(sql).run(...values).changes);
  }
}

type Row = Record<string, unknown>;

function scopeCondition(scope: QueryScope): Condition {
  switch (scope.kind) {
    case "tenant":
      return { sql: "tenant = ?", values: [scope.id] };
    case "group":
      return {
        sql: "tenant IN (SELECT tenant FROM members WHERE group_name = ?)",
        values: [scope.name],
      };
    case "organization":
      return { sql: "TRUE", values: [] };
  }
}

function eventOf(row: Row): StoredEvent {
  return {
    id: String(row["id"]),
    timestamp: row["timestamp"] as string,
    level: row["level"] as string,
    service: row["service"] as string,
    message: row["message"] as string,
    environment: row["environment"] as string | null,
    target: row["target"] as string | null,
    fields: JSON.parse(row["fields"] as string) as Record<string, unknown>,
  };
}
