import { type RawBuilder, sql } from "kysely";
import type { Drift } from "../../core/drift.ts";
import type { ProjectLabels } from "../../core/project-labels.ts";
import type { ProjectResource } from "../../core/resources.ts";
import { changeSettings } from "../../core/recorded-settings.ts";
import type { ProjectChanges } from "../../core/settings.ts";
import type { Operation, OperationRequest } from "../../core/operation.ts";
import type {
  ProjectTemplate,
  TemplateSeedRecord,
  TemplateState,
} from "../../core/template-update.ts";
import { newestVersions } from "../../providers/git/template.ts";
import { type DriftRow, driftOfRow, DRIFTS } from "../drift/table.ts";
import { projectResources } from "../operations/resources.ts";
import { isNoLook, OPEN_STATES, operationOf } from "../operations/tables.ts";
import type { OperationRow } from "./schema.ts";
import type { Store } from "./store.ts";

/** The status of a project, from the last operation that changed it. */
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

/** The orders of a list. `status` puts what needs attention first, `changed` what changed last. */
export const PROJECT_ORDERS = ["slug", "name", "status", "changed"] as const;
export type ProjectOrder = (typeof PROJECT_ORDERS)[number];

export type ProjectCounts = Readonly<Record<ProjectStatus, number>>;

/** A project as the API shows it, with its status and last operation. */
export interface ProjectRecord {
  readonly slug: string;
  readonly platform: string;
  readonly name: string;
  readonly citadelTenantId: string | null;
  /** The settings of its last `up`, with the changes of operations that wait or run. */
  readonly settings: ProjectChanges;
  readonly outputs: Readonly<Record<string, unknown>>;
  /** Undefined until an `up` of this version has recorded it. */
  readonly template: ProjectTemplate | undefined;
  /** The version of the program that its last successful `up` ran; null if it is not known. */
  readonly programVersion: string | null;
  readonly status: ProjectStatus;
  readonly lastOperation: Operation | undefined;
  readonly drift: Drift;
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

interface ProjectsFilter {
  /** Only these projects. */
  readonly slugs?: readonly string[] | undefined;
  /** Part of the slug or the name, case-insensitive. */
  readonly search?: string | undefined;
  /** Only projects whose template has a newer version, or only those with the newest. */
  readonly template?: "outdated" | "current" | undefined;
  /** Only projects at another version than this one, or only those at it. */
  readonly version?: { readonly is: boolean; readonly current: string } | undefined;
  /** Only projects with all of these labels. */
  readonly labels?: ProjectLabels | undefined;
}

interface ProjectsQuery extends ProjectsFilter {
  readonly limit: number;
  /** Default: `slug`. */
  readonly sort?: ProjectOrder | undefined;
  /** The other way round. */
  readonly descending?: boolean | undefined;
  /** Only projects after this one in the order. */
  readonly after?: Position | undefined;
  readonly status?: ProjectStatus | undefined;
}

/** A place in an order: the slug decides among projects with the same key. */
export interface Position {
  readonly key: string;
  readonly slug: string;
}

/** A project of a list, with its key in the list's order. */
export type ListedProject = ProjectRecord & Pick<Position, "key">;

/** The key in each order, as a text that is compared byte by byte. */
const KEYS: Readonly<Record<ProjectOrder, RawBuilder<string>>> = {
  slug: sql`slug`,
  name: sql`left(lower(name), 60)`,
  status: sql`CASE status WHEN 'incomplete' THEN '0' WHEN 'half-deleted' THEN '1'
    WHEN 'changing' THEN '2' WHEN 'deleting' THEN '3' WHEN 'unknown' THEN '4'
    WHEN 'ready' THEN '5' ELSE '6' END`,
  changed: sql`to_char("changedAt" AT TIME ZONE 'UTC', 'YYYYMMDDHH24MISSUS')`,
};

/** The actions that an `up` or a destroy has in the audit log. */
const RECORDED_ACTIONS = ["project.create", "project.update", "project.destroy"];

type OperationDates = Pick<OperationRow, "created_at" | "started_at" | "ended_at">;
/** A row in JSON, where dates are texts. */
type OperationJson = Omit<OperationRow, keyof OperationDates> & {
  readonly [Name in keyof OperationDates]: string | Extract<OperationDates[Name], null>;
};

interface Row extends Omit<ListedProject, "lastOperation" | "template" | "drift"> {
  readonly drift: DriftRow;
  readonly templateSeed: TemplateSeedRecord | null;
  readonly templateVersion: string | null;
  readonly templatePullRequest: TemplateState["pullRequest"] | null;
  readonly operation: OperationJson | null;
  readonly requests: readonly OperationRequest[];
}

/** Reads projects, joined with their operations, drift and audit events. Writes go through `Projects`. */
export class ProjectRecords {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  /** Prepared, because PostgreSQL takes ten times longer to plan the statement than to run it. */
  async find(slug: string): Promise<ProjectRecord | undefined> {
    const statement = selectProjects(sql`slug = ${slug}`, { limit: 1 });
    return (await this.#store.prepared("project-record", statement)).map(recordOf)[0];
  }

  async list(query: ProjectsQuery): Promise<ListedProject[]> {
    const { after, status, sort = "slug", descending = false } = query;
    const conditions = [
      filtered(query),
      ...(status ? [sql`status = ${status}`] : []),
      ...(after
        ? [
            sql`(${KEYS[sort]} COLLATE "C", slug COLLATE "C") ${descending ? sql`<` : sql`>`}
                (${after.key}, ${after.slug})`,
          ]
        : []),
    ];
    const statement = selectProjects(sql.join(conditions, sql` AND `), query);
    const { rows } = await this.#store.run((db) => statement.execute(db));
    return rows.map(recordOf);
  }

  /** How many projects have each status. */
  async counts(filter: ProjectsFilter): Promise<ProjectCounts> {
    const { rows } = await this.#store.run((db) =>
      sql<{ status: ProjectStatus; count: number }>`
        SELECT status, count(*)::int FROM (${withStatus(PROJECTS)}) known
        WHERE ${filtered(filter)} GROUP BY status`.execute(db),
    );
    const found = new Map(rows.map(({ status, count }) => [status, count]));
    const all = PROJECT_STATUSES.map((status) => [status, found.get(status) ?? 0] as const);
    return Object.fromEntries(all) as ProjectCounts;
  }

  /** The project's resources, those with a problem first, from the events of its newest operations. */
  resources(slug: string): Promise<ProjectResource[]> {
    return projectResources(this.#store, slug);
  }
}

function filtered({
  slugs,
  search,
  template,
  version,
  labels,
}: ProjectsFilter): RawBuilder<unknown> {
  const text = sql`lower(${search})`;
  const conditions = [
    sql`true`,
    ...(slugs ? [sql`slug = ANY (${slugs})`] : []),
    ...(template ? [isOutdated(template === "outdated")] : []),
    ...(version
      ? [sql`("programVersion" IS NOT DISTINCT FROM ${version.current}) = ${version.is}`]
      : []),
    ...(labels ? [sql`settings->'labels' @> ${JSON.stringify(labels)}::jsonb`] : []),
    ...(search === undefined
      ? []
      : [sql`(position(${text} in slug) > 0 OR position(${text} in lower(name)) > 0)`]),
  ];
  return sql.join(conditions, sql` AND `);
}

/** Every project with what its own row says. */
const PROJECTS = sql`
    SELECT p.slug, p.platform, p.name, p.citadel_tenant_id AS "citadelTenantId",
           p.template_seed AS "templateSeed",
           CASE WHEN about_it THEN p.template->>'version'
                ELSE p.template_seed->>'version' END AS "templateVersion",
           CASE WHEN about_it THEN p.template->'pullRequest' END AS "templatePullRequest",
           p.program_version AS "programVersion",
           p.settings, p.outputs, p.created_at AS "createdAt", p.updated_at AS "updatedAt"
    FROM projects p CROSS JOIN LATERAL (
      -- Otherwise the repository was replaced after the last update of the template.
      SELECT p.template->'repositoryId' = p.template_seed->'repositoryId' AS about_it
    ) t`;

/** The projects of a statement, with the status of each. */
function withStatus(projects: RawBuilder<unknown>): RawBuilder<unknown> {
  return sql`
    SELECT p.*, coalesce(last.at, p."updatedAt") AS "changedAt",
           CASE
             WHEN last.kind = 'up' AND last.state = 'succeeded' THEN 'ready'
             WHEN last.kind = 'up' AND last.state IN ('failed', 'cancelled')
               THEN 'incomplete'
             WHEN last.kind = 'up' THEN 'changing'
             WHEN last.kind = 'destroy' AND last.state = 'succeeded' THEN 'deleted'
             WHEN last.kind = 'destroy' AND last.state IN ('failed', 'cancelled')
               THEN 'half-deleted'
             WHEN last.kind = 'destroy' THEN 'deleting'
             ELSE 'unknown'
           END AS status
    FROM (${projects}) p LEFT JOIN LATERAL (
      SELECT id, kind, state, created_at, ended_at FROM operations
      WHERE slug = p.slug AND kind IN ('up', 'destroy')
        AND (state <> 'cancelled' OR started_at IS NOT NULL)
      ORDER BY id DESC LIMIT 1
    ) o ON true LEFT JOIN LATERAL (
      SELECT action, result, at, details->>'operation' AS operation FROM audit_log
      WHERE project_id = p.slug AND action = ANY (${RECORDED_ACTIONS})
      ORDER BY id DESC LIMIT 1
    ) a ON true CROSS JOIN LATERAL (
      -- Operations that a person runs with the CLI are only in the audit log.
      SELECT o.id IS NULL OR (a.at > o.ended_at AND a.operation IS DISTINCT FROM o.id::text)
        AS by_command
    ) later CROSS JOIN LATERAL (
      SELECT CASE WHEN NOT coalesce(by_command, false) THEN o.kind
                  WHEN a.action = 'project.destroy' THEN 'destroy'
                  WHEN a.action IS NOT NULL THEN 'up' END AS kind,
             CASE WHEN NOT coalesce(by_command, false) THEN o.state
                  WHEN a.result = 'started' THEN 'running'
                  WHEN a.result = 'success' THEN 'succeeded' ELSE 'failed' END AS state,
             CASE WHEN NOT coalesce(by_command, false) THEN coalesce(o.ended_at, o.created_at)
                  ELSE a.at END AS at
    ) last`;
}

/** One statement, because each round trip costs more than its work. */
function selectProjects(
  condition: RawBuilder<unknown>,
  {
    limit,
    sort = "slug",
    descending = false,
    status,
  }: Pick<ProjectsQuery, "limit" | "sort" | "descending" | "status">,
): RawBuilder<Row> {
  const way = descending ? sql`DESC` : sql`ASC`;
  const order = sql`key ${way}, slug COLLATE "C" ${way}`;
  const page = (projects: RawBuilder<unknown>) => sql`
      SELECT known.*, ${KEYS[sort]} COLLATE "C" AS key FROM (${projects}) known
      WHERE ${condition}
      ORDER BY ${order} LIMIT ${limit}`;
  // The status of each project costs a look at its operations, so only a page's are looked at if possible.
  const needsStatus = status !== undefined || sort === "status" || sort === "changed";
  return sql<Row>`
    SELECT page.*, newest.operation, open.requests, looks.drift FROM (
      ${needsStatus ? page(withStatus(PROJECTS)) : withStatus(page(PROJECTS))}
    ) page JOIN LATERAL (
      SELECT to_jsonb(d) AS drift FROM (${DRIFTS}) d WHERE d.slug = page.slug
    ) looks ON true LEFT JOIN LATERAL (
      -- Outside the LIMIT, because PostgreSQL would make JSON of all operations before it sorts them.
      SELECT to_jsonb(o) AS operation FROM (
        SELECT * FROM operations
        WHERE slug = page.slug AND ${isNoLook} ORDER BY id DESC LIMIT 1
      ) o
    ) newest ON true CROSS JOIN LATERAL (
      -- The ups and destroys that wait or run, in order.
      SELECT coalesce(jsonb_agg(request ORDER BY id), '[]') AS requests FROM operations
      WHERE slug = page.slug AND state = ANY (${OPEN_STATES}) AND kind IN ('up', 'destroy')
    ) open
    ORDER BY ${order}`;
}

/** A template that this version of the program does not have counts as outdated. */
function isOutdated(isWanted: boolean): RawBuilder<unknown> {
  const newest = sql`${JSON.stringify(newestVersions())}::jsonb ->> ("templateSeed"->>'template')`;
  return sql`("templateSeed" IS NOT NULL
    AND ("templateVersion" IS DISTINCT FROM (${newest})) = ${isWanted})`;
}

function recordOf({
  operation,
  requests,
  templateSeed,
  templateVersion,
  templatePullRequest,
  drift,
  ...row
}: Row): ListedProject {
  const name = templateSeed?.template;
  return {
    ...row,
    ...withPending(row, requests),
    template:
      name === undefined
        ? undefined
        : {
            name,
            outdated: templateVersion !== newestVersions()[name],
            ...(templateVersion !== null && { version: templateVersion }),
            ...(templatePullRequest !== null && { pullRequest: templatePullRequest }),
          },
    lastOperation: operation ? operationOf(datesOf(operation)) : undefined,
    drift: driftOfRow(drift),
  };
}

/** The name and settings that the project has once all pending operations have succeeded. */
function withPending(
  { name, settings }: Pick<ProjectRecord, "name" | "settings">,
  open: readonly OperationRequest[],
): Pick<ProjectRecord, "name" | "settings"> {
  let result = settings;
  for (const request of open) {
    if (request.kind === "destroy") result = {};
    else if (request.kind === "up") result = changeSettings(result, request.settings);
  }
  return { name: result.name ?? name, settings: result };
}

function datesOf(row: OperationJson): OperationRow {
  const { created_at: created, started_at: started, ended_at: ended } = row;
  return {
    ...row,
    created_at: new Date(created),
    started_at: started === null ? null : new Date(started),
    ended_at: ended === null ? null : new Date(ended),
  };
}
