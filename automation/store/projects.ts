import { type Kysely, type Selectable, sql } from "kysely";
import type { ProjectChanges } from "../../core/settings.ts";
import type { TemplateSeedRecord, TemplateState } from "../../core/template-update.ts";
import { jsonText, type Schema } from "./schema.ts";
import type { Store, StoreTransaction } from "./store.ts";

export interface Project {
  readonly slug: string;
  readonly platform: string;
  /** The display name. */
  readonly name: string;
  /** The id of the project's environment in Citadel; null while it has none. */
  readonly citadelTenantId: string | null;
}

/** A project with the settings of its last `up`. */
export interface StoredProject extends Project {
  readonly settings: ProjectChanges;
  /** Whether an `up` of the project has succeeded since it was created. */
  readonly wasUp: boolean;
  /** What its last successful `up` recorded of its template; null if it recorded nothing. */
  readonly templateSeed: TemplateSeedRecord | null;
}

/** The columns to change. A field that is undefined keeps its column. */
interface ProjectUpdate {
  readonly citadelTenantId?: string | null | undefined;
  readonly settings?: ProjectChanges | undefined;
  readonly outputs?: Readonly<Record<string, unknown>> | undefined;
  readonly programVersion?: string | undefined;
  readonly templateSeed?: TemplateSeedRecord | null | undefined;
  readonly template?: TemplateState | null | undefined;
}

/** The table `projects`. No other module writes to it. */
export class Projects {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  /** Ordered by slug. */
  async list(): Promise<StoredProject[]> {
    const rows = await this.#store.run((db) =>
      db.selectFrom("projects").selectAll().orderBy("slug").execute(),
    );
    return rows.map(storedProject);
  }

  async find(slug: string): Promise<StoredProject | undefined> {
    const row = await this.#store.run((db) =>
      db.selectFrom("projects").selectAll().where("slug", "=", slug).executeTakeFirst(),
    );
    return row && storedProject(row);
  }

  /** Inserts the project, or replaces its platform, name and tenant id. Settings and outputs stay. */
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

  /** Does nothing if the project does not exist. */
  async update(slug: string, update: ProjectUpdate): Promise<void> {
    const { citadelTenantId, settings, outputs, templateSeed, template } = update;
    const { programVersion } = update;
    const values = {
      ...(citadelTenantId !== undefined && { citadel_tenant_id: citadelTenantId }),
      ...(settings && { settings: jsonText(settings) }),
      ...(outputs && { outputs: jsonText(outputs) }),
      ...(templateSeed !== undefined && { template_seed: templateSeed && jsonText(templateSeed) }),
      ...(programVersion !== undefined && { program_version: programVersion }),
      ...(template !== undefined && { template: template && jsonText(template) }),
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

  async remove(slug: string): Promise<void> {
    await this.#store.run((db) => removeProject(db, slug));
  }
}

/** Inserts the project in the caller's transaction. A project that exists stays as it is. */
export async function addProject(
  transaction: StoreTransaction,
  { slug, platform, name, citadelTenantId }: Project,
): Promise<void> {
  await transaction
    .insertInto("projects")
    .values({ slug, platform, name, citadel_tenant_id: citadelTenantId })
    .onConflict((conflict) => conflict.column("slug").doNothing())
    .execute();
}

export async function removeProject(db: Kysely<Schema>, slug: string): Promise<void> {
  await db.deleteFrom("projects").where("slug", "=", slug).execute();
}

function storedProject(row: Selectable<Schema["projects"]>): StoredProject {
  const { slug, platform, name, settings, outputs, citadel_tenant_id: citadelTenantId } = row;
  const wasUp = Object.keys(outputs).length > 0;
  const { template_seed: templateSeed } = row;
  return { slug, platform, name, citadelTenantId, settings, wasUp, templateSeed };
}
