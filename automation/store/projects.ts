import { sql } from "kysely";
import type { ProjectRow } from "./schema.ts";
import type { Store } from "./store.ts";

export interface Project {
  readonly slug: string;
  readonly platform: string;
  /** For people. */
  readonly name: string;
  /** Its environment in Citadel; null until it has one. */
  readonly citadelTenantId: string | null;
}

/** The projects that the service knows. */
export class Projects {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  /** By slug. */
  async list(): Promise<Project[]> {
    const rows = await this.#store.run((db) =>
      db.selectFrom("projects").selectAll().orderBy("slug").execute(),
    );
    return rows.map(project);
  }

  async find(slug: string): Promise<Project | undefined> {
    const row = await this.#store.run((db) =>
      db.selectFrom("projects").selectAll().where("slug", "=", slug).executeTakeFirst(),
    );
    return row && project(row);
  }

  /** Adds it, or replaces what is known of it. Its settings and outputs stay. */
  async put({ slug, platform, name, citadelTenantId }: Project): Promise<void> {
    const values = { platform, name, citadel_tenant_id: citadelTenantId };
    await this.#store.run((db) =>
      db
        .insertInto("projects")
        .values({ slug, ...values })
        .onConflict((conflict) =>
          conflict.column("slug").doUpdateSet({ ...values, updated_at: sql`now()` }),
        )
        .execute(),
    );
  }

  /** Null: it has no environment. */
  async setCitadelTenantId(slug: string, citadelTenantId: string | null): Promise<void> {
    await this.#store.run((db) =>
      db
        .updateTable("projects")
        .set({ citadel_tenant_id: citadelTenantId, updated_at: sql`now()` })
        .where("slug", "=", slug)
        .execute(),
    );
  }

  async remove(slug: string): Promise<void> {
    await this.#store.run((db) => db.deleteFrom("projects").where("slug", "=", slug).execute());
  }
}

function project({ slug, platform, name, citadel_tenant_id }: ProjectRow): Project {
  return { slug, platform, name, citadelTenantId: citadel_tenant_id };
}
