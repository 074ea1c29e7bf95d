import { html } from "htm/preact";
import { h, type TargetedEvent, type TargetedInputEvent, type VNode } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type {
  ProjectCounts,
  ProjectOrder,
  ProjectStatus,
  ProjectView,
} from "../../automation/service/schemas/project.ts";
import type { ErrorCount } from "../../automation/service/schemas/error-counts.ts";
import { call, queryText } from "../lib/api.ts";
import { announce } from "../lib/announce.ts";
import { countText, numberText, sum } from "../lib/format.ts";
import { useLoaded } from "../lib/load.ts";
import { logAddress } from "../lib/log-search.ts";
import { ago, badge, heading, problem, table } from "../lib/parts.ts";
import { driftBadge, operationBadge, statusBadge } from "../lib/states.ts";
import {
  changeProjectsQuery,
  listParameters,
  nextOrder,
  type ProjectsQuery,
  readProjectsQuery,
  STATUSES,
} from "../lib/projects-query.ts";
import { go } from "../lib/router.ts";
import { mayActSomewhere } from "../lib/session.ts";
import type { ViewProps } from "../lib/view.ts";

interface ProjectPage {
  readonly items: readonly ProjectView[];
  readonly next?: string;
  readonly counts?: ProjectCounts;
}

/** In ms, between two looks at the list while the tab is visible. */
const REFRESH = 10_000;
/** In ms, after the last key before a search begins. */
const TYPING = 250;
/** In ms, between two counts of the shown projects' errors. */
const ERRORS_REFRESH = 30_000;

/** By slug. A project whose errors are not known is missing. */
type Errors = ReadonlyMap<string, number>;

export function Projects({ query: address, caller }: ViewProps): VNode {
  const query = readProjectsQuery(address);
  const page = useLoaded(
    JSON.stringify(query),
    (signal) => call<ProjectPage>("GET", "/v1/projects", { query: listParameters(query), signal }),
    { everyMs: REFRESH },
  );
  const change = (next: Partial<ProjectsQuery>) =>
    `/projects${queryText(changeProjectsQuery(query, next))}`;
  const { data } = page;
  const errors = useErrors(data?.items ?? []);
  const total = data?.counts && shownCount(data.counts, query.status);
  useEffect(() => {
    if (total !== undefined) announce(countText(total, "project"));
  }, [total, query.search, query.status]);
  const create = html`<a class="button main" href="/create">Create a project</a>`;
  return html` ${heading("Projects", html`<div class="actions">${mayActSomewhere(caller, "operator") && create}</div>`)}
    ${data?.counts && countLinks(data.counts, query, change)} ${h(Search, { query, change })}
    ${problem(page.error)} ${data && projectTable(data.items, errors, query, change)}
    ${data?.items.length === 0 && nothingFound(query)}
    <div class="pages">
      ${query.cursor !== "" && html`<a class="button" href=${change({ cursor: "" })}>First page</a>`}
      ${data?.next !== undefined && html`<a class="button" rel="next" href=${change({ cursor: data.next })}>Next page</a>`}
      ${total !== undefined && html`<span class="soft">${countText(total, "project")}</span>`}
    </div>`;
}

/** The errors of the shown projects in the last hour. It is asked apart, so that the list waits for nothing. */
function useErrors(projects: readonly ProjectView[]): Errors {
  const slugs = projects.map(({ slug }) => slug).join(",");
  const { data } = useLoaded(
    slugs,
    (signal) =>
      slugs === ""
        ? Promise.resolve({ items: [] })
        : call<{ readonly items: readonly ErrorCount[] }>("GET", "/v1/logs/errors", {
            query: { slugs },
            signal,
          }),
    { everyMs: ERRORS_REFRESH },
  );
  return new Map(data?.items.map((count) => [count.slug, count.errors]));
}

function nothingFound({ search, status, template }: ProjectsQuery): VNode {
  if (search + status + template === "") return html`<p class="note">There is no project.</p>`;
  return html`<p class="note">No project matches. <a href="/projects">Show all</a></p>`;
}

function shownCount(counts: ProjectCounts, status: ProjectStatus | ""): number {
  if (status !== "") return counts[status];
  return sum(Object.values(counts));
}

function countLinks(
  counts: ProjectCounts,
  query: ProjectsQuery,
  change: (next: Partial<ProjectsQuery>) => string,
): VNode {
  const entry = (status: ProjectStatus | "", text: string) =>
    html`<li>
      <a href=${change({ status })} aria-current=${query.status === status ? "true" : undefined}>
        <b>${numberText(shownCount(counts, status))}</b> ${text}
      </a>
    </li>`;
  const used = STATUSES.filter((status) => counts[status] > 0 || status === query.status);
  return html`<ul class="counts" aria-label="Projects by status">
    ${entry("", "all")} ${used.map((status) => entry(status, status))}
  </ul>`;
}

interface SearchProps {
  readonly query: ProjectsQuery;
  readonly change: (next: Partial<ProjectsQuery>) => string;
}

function Search({ query, change }: SearchProps): VNode {
  const [text, setText] = useState(query.search);
  const searched = useRef(query.search);
  const latest = useRef(change);
  latest.current = change;
  useEffect(() => {
    // The search of this field is older than what a person has typed meanwhile.
    if (query.search !== searched.current) setText(query.search);
    searched.current = query.search;
  }, [query.search]);
  useEffect(() => {
    if (text === searched.current) return undefined;
    const timer = setTimeout(() => {
      searched.current = text;
      go(latest.current({ search: text }), { replace: true });
    }, TYPING);
    return () => clearTimeout(timer);
  }, [text]);
  const onTemplate = ({ currentTarget: { checked } }: TargetedEvent<HTMLInputElement>) => {
    go(change({ template: checked ? "outdated" : "" }));
  };
  const onSubmit = (event: SubmitEvent) => event.preventDefault();
  return html`<form class="filters" role="search" onSubmit=${onSubmit}>
    <label>
      Slug or name
      <input
        type="search"
        name="search"
        value=${text}
        maxlength="100"
        onInput=${({ currentTarget }: TargetedInputEvent<HTMLInputElement>) => setText(currentTarget.value)}
      />
    </label>
    <label class="check">
      <input type="checkbox" checked=${query.template === "outdated"} onChange=${onTemplate} />
      with a newer template
    </label>
  </form>`;
}

function projectTable(
  projects: readonly ProjectView[],
  errors: Errors,
  query: ProjectsQuery,
  change: (next: Partial<ProjectsQuery>) => string,
): VNode {
  const column = (order: ProjectOrder, text: string) => {
    const way = query.descending ? "descending" : "ascending";
    const isSorted = query.sort === order;
    const sign = isSorted ? (query.descending ? " ↓" : " ↑") : "";
    return html`<th scope="col" aria-sort=${isSorted ? way : undefined}>
      <a href=${change(nextOrder(query, order))}>${text}<span aria-hidden="true">${sign}</span></a>
    </th>`;
  };
  const columns = [
    ...[column("slug", "Project"), column("name", "Name"), column("status", "Status"), "Drift"],
    errors.size > 0 && { number: "Errors, 1 h" },
    ...["Template", "Version", "Last operation", column("changed", "When")],
  ];
  return table(
    "Projects",
    columns,
    projects.map((project) => row(project, errors)),
  );
}

function row(project: ProjectView, errors: Errors): VNode {
  const { slug, name, drift, template, version, outdated, lastOperation, updatedAt } = project;
  return html`<tr key=${slug}>
    <th scope="row"><a href=${`/projects/${slug}`}>${slug}</a></th>
    <td>${name}</td>
    <td>${statusBadge(project)}</td>
    <td>${drift && driftBadge(drift.state)}</td>
    ${errors.size > 0 && errorCell(slug, errors.get(slug))}
    <td>${template && html`${template.name} ${template.outdated && badge("warn", "outdated")}`}</td>
    <td>
      ${version?.slice(0, 18)} ${version !== undefined && outdated && badge("warn", "outdated")}
    </td>
    <td>
      ${lastOperation && html`<a href=${`/operations/${lastOperation.id}`}>${lastOperation.request.kind}</a> ${operationBadge(lastOperation.state)} <span class="soft">${lastOperation.actor}</span>`}
    </td>
    <td>${ago(lastOperation?.endedAt ?? lastOperation?.createdAt ?? updatedAt)}</td>
  </tr>`;
}

function errorCell(slug: string, errors: number | undefined): VNode {
  const address = logAddress(slug, { q: "level:error", range: "1h" });
  return html`<td class="number">
    ${errors === 0 ? 0 : errors !== undefined && html`<a href=${address}>${numberText(errors)}</a>`}
  </td>`;
}
