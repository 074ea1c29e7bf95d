import { sql } from "kysely";
import { jsonText } from "./json.ts";
import type { ProjectChanges } from "../../core/settings.ts";
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

/** A project, and the settings that its last `up` was made with. */
export interface StoredProject extends Project {
  readonly settings: ProjectChanges;
  /** An `up` of it has succeeded. */
  readonly wasUp: boolean;
}

/** The facts of an `up` that are kept. */
export interface KeptOfUp {
  readonly settings?: ProjectChanges | undefined;
  readonly outputs?: Readonly<Record<string, unknown>> | undefined;
}

/** The projects that the service knows. */
export class Projects {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  /** By slug. */
  async list(): Promise<StoredProject[]> {
    const rows = await this.#store.run((db) =>
      db.selectFrom("projects").selectAll().orderBy("slug").execute(),
    );
    return rows.map(project);
  }

  async find(slug: string): Promise<StoredProject | undefined> {
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

  /** The settings that its last `up` was made with, and its outputs, where they are given. */
  async keep(slug: string, { settings, outputs }: KeptOfUp): Promise<void> {
    const values = {
      ...(settings && { settings: jsonText(settings) }),
      ...(outputs && { outputs: jsonText(outputs) }),
    };
    if (Object.keys(values).length === 0) return;
    await this.#store.run((db) =>
      db
        .updateTable("projects")
        .set({ ...values, updated_at: sql`now()` })
        .where("slug", "=", slug)
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

function project(row: ProjectRow): StoredProject {
  const { slug, platform, name, settings, outputs, citadel_tenant_id: citadelTenantId } = row;
  const wasUp = Object.keys(outputs).length > 0;
  return { slug, platform, name, citadelTenantId, settings, wasUp };
}
