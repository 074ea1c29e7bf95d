import { randomUUID } from "node:crypto";
import type { Database, Value } from "./database.ts";
import type { Events } from "./events.ts";

export interface Tenant {
  readonly id: string;
  readonly slug: string;
  readonly name: string;
  readonly organization: string;
  readonly created_at: string;
  readonly metadata: Record<string, string>;
}

/** Whose logs are searched. */
export type QueryScope =
  | { readonly kind: "tenant"; readonly id: string }
  | { readonly kind: "group"; readonly name: string }
  | { readonly kind: "organization" };

/** One organization's tenants and groups. */
export class Store {
  readonly organization: string;
  readonly #database: Database;
  readonly #events: Events;

  constructor(organization: string, database: Database, events: Events) {
    this.organization = organization;
    this.#database = database;
    this.#events = events;
  }

  /** The slug must be free: see `tenantBySlug`. */
  addTenant(slug: string, name: string, metadata: Record<string, string>): Tenant {
    const id = randomUUID();
    const created_at = new Date().toISOString();
    this.#database.run(
      "INSERT INTO tenants (id, slug, name, metadata, created_at) VALUES (?, ?, ?, ?, ?)",
      [id, slug, name, JSON.stringify(metadata), created_at],
    );
    return { id, slug, name, organization: this.organization, created_at, metadata };
  }

  tenant(id: string): Tenant | undefined {
    return this.#tenants("WHERE id = ?", [id.toLowerCase()])[0];
  }

  tenantBySlug(slug: string): Tenant | undefined {
    return this.#tenants("WHERE slug = ?", [slug])[0];
  }

  tenants(): Tenant[] {
    return this.#tenants("ORDER BY slug");
  }

  updateTenant({ id, name, metadata }: Tenant): void {
    const values = [name, JSON.stringify(metadata), id];
    this.#database.run("UPDATE tenants SET name = ?, metadata = ? WHERE id = ?", values);
  }

  /** Its logs and memberships go with it. */
  deleteTenant(id: string): void {
    const [number] = this.numbers({ kind: "tenant", id });
    if (number === undefined) return;
    this.#database.transaction(() => {
      this.#events.deleteAll(number);
      this.#database.run("DELETE FROM tenants WHERE number = ?", [number]);
    });
  }

  /** True if it is new. */
  putGroup(name: string): boolean {
    const sql = "INSERT OR IGNORE INTO tenant_groups (name) VALUES (?)";
    return this.#database.run(sql, [name]).changes > 0;
  }

  hasGroup(name: string): boolean {
    const sql = "SELECT name FROM tenant_groups WHERE name = ?";
    return this.#database.first(sql, [name]) !== undefined;
  }

  members(group: string): string[] {
    const sql = "SELECT tenant FROM members WHERE group_name = ? ORDER BY tenant";
    return this.#database.all(sql, [group]).map((row) => row["tenant"] as string);
  }

  /** Both must exist. */
  putMember(group: string, tenant: string): void {
    const sql = "INSERT OR IGNORE INTO members (group_name, tenant) VALUES (?, ?)";
    this.#database.run(sql, [group, tenant]);
  }

  deleteMember(group: string, tenant: string): void {
    const sql = "DELETE FROM members WHERE group_name = ? AND tenant = ?";
    this.#database.run(sql, [group, tenant.toLowerCase()]);
  }

  /** The numbers by which `Events` knows the tenants of a scope. */
  numbers(scope: QueryScope): number[] {
    return this.#numbers(scope).map((row) => row["number"] as number);
  }

  #numbers(scope: QueryScope) {
    switch (scope.kind) {
      case "tenant":
        return this.#database.all("SELECT number FROM tenants WHERE id = ?", [
          scope.id.toLowerCase(),
        ]);
      case "group":
        return this.#database.all(
          `SELECT number FROM tenants JOIN members ON members.tenant = tenants.id
           WHERE group_name = ? ORDER BY number`,
          [scope.name],
        );
      case "organization":
        return this.#database.all("SELECT number FROM tenants ORDER BY number");
    }
  }

  #tenants(clause: string, values: readonly Value[] = []): Tenant[] {
    return this.#database.all(`SELECT * FROM tenants ${clause}`, values).map((row) => ({
      id: row["id"] as string,
      slug: row["slug"] as string,
      name: row["name"] as string,
      organization: this.organization,
      created_at: row["created_at"] as string,
      metadata: JSON.parse(row["metadata"] as string) as Record<string, string>,
    }));
  }
}
