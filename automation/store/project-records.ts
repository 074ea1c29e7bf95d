import { sql } from "kysely";
import type { ProjectSettings } from "../../core/settings.ts";
import type { Operation } from "../operations/operation.ts";
import { operation } from "../operations/rows.ts";
import type { OperationRow } from "./schema.ts";
import type { Store } from "./store.ts";

/** How a project stands, by the last operation that changed it. */
export const PROJECT_STATUSES = [
  "ready",
  "changing",
  "incomplete",
  "deleting",
  "half-deleted",
  "deleted",
  "unknown",
] as const;
export type ProjectStatus = (typeof PROJECT_STATUSES)[number];

/** All that is known of a project. */
export interface ProjectRecord {
  readonly slug: string;
  readonly platform: string;
  readonly name: string;
  readonly citadelTenantId: string | null;
  readonly settings: Partial<ProjectSettings>;
  readonly outputs: Readonly<Record<string, unknown>>;
  readonly status: ProjectStatus;
  readonly lastOperation: Operation | undefined;
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

export interface ProjectsQuery {
  readonly limit: number;
  /** Only projects whose slug comes after this one. */
  readonly after?: string | undefined;
  /** Only this one. */
  readonly slug?: string | undefined;
  readonly status?: ProjectStatus | undefined;
  /** A part of the slug or of the name, in any case. */
  readonly search?: string | undefined;
}

type Row = Omit<ProjectRecord, "lastOperation">;

/** Projects with what was done to them. */
export class ProjectRecords {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  async find(slug: string): Promise<ProjectRecord | undefined> {
    return (await this.list({ slug, limit: 1 }))[0];
  }

  /** By slug. */
  async list(query: ProjectsQuery): Promise<ProjectRecord[]> {
    const rows = await this.#rows(query);
    const last = await this.#lastOperations(rows.map(({ slug }) => slug));
    return rows.map((row) => ({ ...row, lastOperation: last.get(row.slug) }));
  }

  async #rows({ limit, after, slug, status, search }: ProjectsQuery): Promise<Row[]> {
    const { rows } = await this.#store.run((db) =>
      sql<Row>`
        SELECT * FROM (
          SELECT p.slug, p.platform, p.name, p.citadel_tenant_id AS "citadelTenantId",
                 p.settings, p.outputs, p.created_at AS "createdAt", p.updated_at AS "updatedAt",
                 CASE
                   WHEN o.kind = 'up' AND o.state = 'succeeded' THEN 'ready'
                   WHEN o.kind = 'up' AND o.state IN ('failed', 'cancelled') THEN 'incomplete'
                   WHEN o.kind = 'up' THEN 'changing'
                   WHEN o.kind = 'destroy' AND o.state = 'succeeded' THEN 'deleted'
                   WHEN o.kind = 'destroy' AND o.state IN ('failed', 'cancelled') THEN 'half-deleted'
                   WHEN o.kind = 'destroy' THEN 'deleting'
                   ELSE 'unknown'
                 END AS status
          FROM projects p LEFT JOIN LATERAL (
            SELECT kind, state FROM operations
            WHERE slug = p.slug AND kind IN ('up', 'destroy')
              AND (state <> 'cancelled' OR started_at IS NOT NULL)
            ORDER BY id DESC LIMIT 1
          ) o ON true
        ) known
        WHERE (${slug ?? null}::text IS NULL OR slug = ${slug ?? null})
          AND (${after ?? null}::text IS NULL OR slug > ${after ?? null} COLLATE "C")
          AND (${status ?? null}::text IS NULL OR status = ${status ?? null})
          AND (${search ?? null}::text IS NULL
               OR position(lower(${search ?? null}) in slug) > 0
               OR position(lower(${search ?? null}) in lower(name)) > 0)
        ORDER BY slug COLLATE "C" LIMIT ${limit}`.execute(db),
    );
    return rows;
  }

  async #lastOperations(slugs: readonly string[]): Promise<Map<string, Operation>> {
    if (slugs.length === 0) return new Map();
    const { rows } = await this.#store.run((db) =>
      sql<OperationRow>`
        SELECT o.* FROM unnest(${slugs}::text[]) AS wanted (slug)
        CROSS JOIN LATERAL (
          SELECT * FROM operations WHERE slug = wanted.slug ORDER BY id DESC LIMIT 1
        ) o`.execute(db),
    );
    return new Map(rows.map((row) => [row.slug, operation(row)]));
  }
}
