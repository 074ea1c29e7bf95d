import type { ProjectOrder, ProjectStatus } from "../../automation/service/schemas/project.ts";
import type { Query } from "./api.ts";

/** The search and order of the list of projects. The address has it, so that a link shows the same. */
export interface ProjectsQuery {
  readonly search: string;
  readonly status: ProjectStatus | "";
  readonly template: "outdated" | "";
  readonly sort: ProjectOrder;
  readonly descending: boolean;
  /** The page's cursor; empty: the first page. */
  readonly cursor: string;
}

/** The statuses, those that need attention first. */
export const STATUSES: readonly ProjectStatus[] = [
  "incomplete",
  "half-deleted",
  "changing",
  "deleting",
  "unknown",
  "ready",
  "deleted",
];

export const ORDERS: readonly ProjectOrder[] = ["slug", "name", "status", "changed"];

const FIRST: ProjectsQuery = {
  search: "",
  status: "",
  template: "",
  sort: "slug",
  descending: false,
  cursor: "",
};

/** Values that a person has mistyped in the address count as left out. */
export function readProjectsQuery(query: URLSearchParams): ProjectsQuery {
  const oneOf = <T extends string>(name: string, values: readonly T[]) =>
    values.find((value) => value === query.get(name));
  return {
    search: (query.get("search") ?? "").slice(0, 100),
    status: oneOf("status", STATUSES) ?? "",
    template: oneOf("template", ["outdated"]) ?? "",
    sort: oneOf("sort", ORDERS) ?? "slug",
    descending: query.get("descending") === "true",
    cursor: query.get("cursor") ?? "",
  };
}

const LIMIT = 50;

/** The parameters of the API. */
export function listParameters(query: ProjectsQuery): Query {
  return { ...query, descending: query.descending || undefined, counts: true, limit: LIMIT };
}

/** The query in the address; what is as at first is left out. Another list begins at its first page. */
export function changeProjectsQuery(
  query: ProjectsQuery,
  change: Partial<ProjectsQuery>,
): Record<string, string> {
  const next = { ...query, cursor: "", ...change };
  const names = Object.keys(FIRST) as (keyof ProjectsQuery)[];
  return Object.fromEntries(
    names.filter((name) => next[name] !== FIRST[name]).map((name) => [name, String(next[name])]),
  );
}

/** The order after a click on a column: the same column again turns it round. */
export function nextOrder(
  { sort, descending }: ProjectsQuery,
  column: ProjectOrder,
): Pick<ProjectsQuery, "sort" | "descending"> {
  return { sort: column, descending: sort === column ? !descending : column === "changed" };
}
