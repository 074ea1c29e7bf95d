import { type SelectQueryBuilder, sql } from "kysely";
import type { ProjectSettings } from "../../core/settings.ts";
import type { ProjectRow, Schema } from "./schema.ts";
import type { Store } from "./store.ts";

/** What every project has, however it was made. */
export interface ProjectIdentity {
  readonly slug: string;
  readonly platform: string;
  /** For people. */
  readonly name: string;
  /** Its environment in Citadel; null until it has one. */
  readonly citadelTenantId: string | null;
}

export interface Project extends ProjectIdentity {
  /** As they are wanted: of the last request, whether or not it was done. */
  readonly settings: Partial<ProjectSettings>;
  /** Of the last `up` that succeeded; secrets are the text "[secret]". */
  readonly outputs: Readonly<Record<string, unknown>>;
  readonly status: ProjectStatus;
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

/**
 * By the last `up` or `destroy`. `waiting` is for its turn; `incomplete` is what failed or was
 * cancelled: the next one goes on from there.
 */
export type ProjectStatus =
  "waiting" | "creating" | "updating" | "destroying" | "ready" | "incomplete";

export interface PageOptions {
  readonly platform?: string;
  readonly status?: ProjectStatus;
  /** Part of a slug or of a name, in whatever case. */
  readonly search?: string;
  /** 1 to 1000. */
  readonly limit: number;
  /** Only projects whose slug comes after this one. */
  readonly after?: string;
}

/** The projects that the service knows. */
export class Projects {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  /** All of them, by slug. */
  async list(): Promise<Project[]> {
    const rows = await this.#store.run((db) => withStatus(db.selectFrom("projects")).execute());
    return rows.map(project);
  }

  /** A page of them, by slug. */
  async page({ platform, status, search, limit, after }: PageOptions): Promise<Project[]> {
    const rows = await this.#store.run((db) => {
      let query = withStatus(db.selectFrom("projects")).limit(limit);
      if (platform !== undefined) query = query.where("projects.platform", "=", platform);
      if (status !== undefined) query = query.where(STATUS, "=", status);
      if (after !== undefined) query = query.where("projects.slug", ">", after);
      if (search !== undefined) {
        const part = `%${search.replace(/[\\%_]/g, "\\$&")}%`;
        query = query.where((where) =>
          where.or([where("projects.slug", "ilike", part), where("projects.name", "ilike", part)]),
        );
      }
      return query.execute();
    });
    return rows.map(project);
  }

  async find(slug: string): Promise<Project | undefined> {
    const row = await this.#store.run((db) =>
      withStatus(db.selectFrom("projects")).where("projects.slug", "=", slug).executeTakeFirst(),
    );
    return row && project(row);
  }

  /** Adds it, or replaces what is known of it. Its settings and outputs stay. */
  async put({ slug, platform, name, citadelTenantId }: ProjectIdentity): Promise<void> {
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

/** In the database, so that a page can be filtered by it. */
const STATUS = sql<ProjectStatus>`CASE
  WHEN last.state = 'queued' THEN 'waiting'
  WHEN last.state IN ('running', 'cancelling') AND last.kind = 'destroy' THEN 'destroying'
  WHEN last.state IN ('running', 'cancelling') AND projects.outputs = '{}' THEN 'creating'
  WHEN last.state IN ('running', 'cancelling') THEN 'updating'
  WHEN last.state IS NULL OR (last.state = 'succeeded' AND last.kind = 'up') THEN 'ready'
  ELSE 'incomplete'
END`;

function withStatus(projects: SelectQueryBuilder<Schema, "projects", object>) {
  return projects
    .leftJoinLateral(
      (outer) =>
        outer
          .selectFrom("operations")
          .select(["operations.kind", "operations.state"])
          .whereRef("operations.slug", "=", "projects.slug")
          .where("operations.kind", "in", ["up", "destroy"])
          .orderBy("operations.id", "desc")
          .limit(1)
          .as("last"),
      (join) => join.onTrue(),
    )
    .selectAll("projects")
    .select(STATUS.as("status"))
    .orderBy("projects.slug");
}

function project(row: ProjectRow & { readonly status: ProjectStatus }): Project {
  return {
    ...{ slug: row.slug, platform: row.platform, name: row.name, status: row.status },
    ...{ citadelTenantId: row.citadel_tenant_id, settings: row.settings, outputs: row.outputs },
    ...{ createdAt: row.created_at, updatedAt: row.updated_at },
  };
}
