import { sql } from "kysely";
import { changeSettings } from "../../core/recorded-settings.ts";
import type { ProjectChanges } from "../../core/settings.ts";
import type { Operation } from "../operations/operation.ts";
import { OPEN, operation } from "../operations/rows.ts";
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
  /** Those that its last `up` was made with, and over them what waits or runs. */
  readonly settings: ProjectChanges;
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

/** By which the command's ups and destroys are in the audit trail. */
const RECORDED_ACTIONS = ["project.create", "project.update", "project.destroy"];

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
    const slugs = rows.map(({ slug }) => slug);
    const [last, open] = [await this.#lastOperations(slugs), await this.#open(slugs)];
    return rows.map((row) => {
      const asked = open.filter(({ slug }) => slug === row.slug);
      return { ...row, ...wanted(row, asked), lastOperation: last.get(row.slug) };
    });
  }

  async #rows({ limit, after, slug, status, search }: ProjectsQuery): Promise<Row[]> {
    const { rows } = await this.#store.run((db) =>
      sql<Row>`
        SELECT * FROM (
          SELECT p.slug, p.platform, p.name, p.citadel_tenant_id AS "citadelTenantId",
                 p.settings, p.outputs, p.created_at AS "createdAt", p.updated_at AS "updatedAt",
                 CASE
                   WHEN stands.kind = 'up' AND stands.state = 'succeeded' THEN 'ready'
                   WHEN stands.kind = 'up' AND stands.state IN ('failed', 'cancelled')
                     THEN 'incomplete'
                   WHEN stands.kind = 'up' THEN 'changing'
                   WHEN stands.kind = 'destroy' AND stands.state = 'succeeded' THEN 'deleted'
                   WHEN stands.kind = 'destroy' AND stands.state IN ('failed', 'cancelled')
                     THEN 'half-deleted'
                   WHEN stands.kind = 'destroy' THEN 'deleting'
                   ELSE 'unknown'
                 END AS status
          FROM projects p LEFT JOIN LATERAL (
            SELECT id, kind, state, ended_at FROM operations
            WHERE slug = p.slug AND kind IN ('up', 'destroy')
              AND (state <> 'cancelled' OR started_at IS NOT NULL)
            ORDER BY id DESC LIMIT 1
          ) o ON true LEFT JOIN LATERAL (
            SELECT action, result, at, details->>'operation' AS operation FROM audit_log
            WHERE project_id = p.slug AND action = ANY (${RECORDED_ACTIONS})
            ORDER BY id DESC LIMIT 1
          ) a ON true CROSS JOIN LATERAL (
            -- What the command does is in the audit trail only.
            SELECT o.id IS NULL OR (a.at > o.ended_at AND a.operation IS DISTINCT FROM o.id::text)
              AS by_command
          ) later CROSS JOIN LATERAL (
            SELECT CASE WHEN NOT coalesce(by_command, false) THEN o.kind
                        WHEN a.action = 'project.destroy' THEN 'destroy'
                        WHEN a.action IS NOT NULL THEN 'up' END AS kind,
                   CASE WHEN NOT coalesce(by_command, false) THEN o.state
                        WHEN a.result = 'started' THEN 'running'
                        WHEN a.result = 'success' THEN 'succeeded' ELSE 'failed' END AS state
          ) stands
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

  /** The ups and destroys that wait or run, in their order. */
  async #open(slugs: readonly string[]): Promise<Pick<OperationRow, "slug" | "request">[]> {
    if (slugs.length === 0) return [];
    return this.#store.run((db) =>
      db
        .selectFrom("operations")
        .select(["slug", "request"])
        .where("slug", "in", slugs)
        .where("state", "in", OPEN)
        .where("kind", "in", ["up", "destroy"])
        .orderBy("id")
        .execute(),
    );
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

/** What the project is to be made with once all that waits is done. */
function wanted(
  { name, settings }: Row,
  open: readonly Pick<OperationRow, "request">[],
): Pick<Row, "name" | "settings"> {
  let wants = settings;
  for (const { request } of open) {
    if (request.kind === "destroy") wants = {};
    else if (request.kind === "up") wants = changeSettings(wants, request.settings);
  }
  return { name: wants.name ?? name, settings: wants };
}
