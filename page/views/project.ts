import { html } from "htm/preact";
import { h, type VNode } from "preact";
import type { OperationView } from "../../automation/service/schemas/operation.ts";
import type { ProjectView } from "../../automation/service/schemas/project.ts";
import type { ProjectResource } from "../../core/resources.ts";
import { call } from "../lib/api.ts";
import { driftTable } from "../lib/drift-table.ts";
import { useLoaded } from "../lib/load.ts";
import { operationTable } from "../lib/operation-table.ts";
import { ago, badge, heading, outside, problem, table } from "../lib/parts.ts";
import { shortType } from "../lib/progress.ts";
import { mayAct } from "../lib/session.ts";
import { driftBadge, resourceBadge, statusBadge } from "../lib/states.ts";
import type { ViewProps } from "../lib/view.ts";
import { AuditTable } from "./audit.ts";
import { Actions } from "./project-actions.ts";

const REFRESH = 5_000;

type ProjectDrift = NonNullable<ProjectView["drift"]>;

/** The parts of the view: the value of `show` in the address, and the text. */
const TABS = [
  ["", "Overview"],
  ["resources", "Resources"],
  ["operations", "Operations"],
  ["audit", "Audit trail"],
] as const;

export function Project({ params, query, caller }: ViewProps): VNode {
  const slug = params["slug"] ?? "";
  const { data, error } = useLoaded(
    slug,
    (signal) => call<ProjectView>("GET", `/v1/projects/${slug}`, { signal }),
    { everyMs: REFRESH },
  );
  const shown = query.get("show") ?? "";
  const tabs = TABS.filter(([name]) => name !== "audit" || mayAct(caller, "admin", slug)).map(
    ([name, text]) =>
      html`<li>
        <a
          href=${`/projects/${slug}${name && `?show=${name}`}`}
          aria-current=${name === shown ? "page" : undefined}
          >${text}</a
        >
      </li>`,
  );
  return html` ${heading(slug, data && html`${statusBadge(data)} <span class="soft">${data.name}</span> ${h(Actions, { project: data, caller })}`)}
    ${problem(error)}
    <nav aria-label="Project">
      <ul class="tabs">
        ${tabs}
      </ul>
    </nav>
    ${shown === "resources" && h(Resources, { slug })}
    ${shown === "operations" && h(History, { slug })}
    ${shown === "audit" && h(AuditTable, { project: slug })}
    ${shown === "" && data && overview(data)}`;
}

function overview(project: ProjectView): VNode {
  const { slug, urls, settings, outputs, template, version, tenantId, createdAt } = project;
  const image = outputs["image"];
  const links = [
    ["Site", outside(urls.site, urls.site ?? "")],
    ["Repository", outside(urls.repository, urls.repository ?? "")],
    ["Pipeline", outside(outputs["pipeline"], "pipelines")],
    ["Image", typeof image === "string" ? html`<code>${image}</code>` : null],
    ["Logs", html`<a href=${`/logs/${slug}`}>logs</a>`],
  ] as const;
  const about = [
    ["Platform", project.platform],
    [
      "Template",
      template && html`${template.name} ${template.outdated && badge("warn", "outdated")}`,
    ],
    ["Version", version],
    ["Environment", tenantId],
    ["Created", ago(createdAt)],
  ] as const;
  return html` ${project.drift && driftOf(project.drift)}
    <div class="columns">
      <section>
        <h2>Links</h2>
        ${list(links)}
      </section>
      <section>
        <h2>About</h2>
        ${list(about)}
      </section>
      <section>
        <h2>Settings</h2>
        ${list(leaves(settings))}
      </section>
      <section>
        <h2>Outputs</h2>
        ${list(leaves(outputs))}
      </section>
    </div>`;
}

function driftOf(drift: ProjectDrift): VNode {
  const { state, checkedAt, error, operation } = drift;
  return html`<section>
    <h2>Drift</h2>
    <p>
      ${driftBadge(state)} ${checkedAt !== undefined && html`checked ${ago(checkedAt)}`}
      ${operation !== undefined && html`<a href=${`/operations/${operation}`}>last check</a>`}
    </p>
    ${error && html`<pre class="wrong">${error.message}</pre>`} ${driftTable(drift)}
  </section>`;
}

function list(entries: readonly (readonly [string, unknown])[]): VNode {
  const filled = entries.filter(([, value]) => value !== undefined && value !== null);
  if (filled.length === 0) return html`<p class="soft">The platform's values.</p>`;
  return html`<dl>
    ${filled.map(
      ([name, value]) =>
        html`<dt>${name}</dt>
          <dd>${value}</dd>`,
    )}
  </dl>`;
}

/** The values in an object, each with its path: `sizes.replicas`. */
function leaves(value: object, prefix = ""): (readonly [string, string])[] {
  return Object.entries(value as Record<string, unknown>).flatMap(([name, inner]) =>
    typeof inner === "object" && inner !== null
      ? leaves(inner, `${prefix}${name}.`)
      : [[prefix + name, String(inner)] as const],
  );
}

interface SlugProps {
  readonly slug: string;
}

function Resources({ slug }: SlugProps): VNode {
  const { data, error } = useLoaded(
    slug,
    (signal) =>
      call<{ items: readonly ProjectResource[] }>("GET", `/v1/projects/${slug}/resources`, {
        signal,
      }),
    { everyMs: REFRESH },
  );
  const rows = data?.items.map(
    ({ urn, name, type, state, op, changed, error: reason, operation, at }) =>
      html`<tr key=${urn}>
        <th scope="row">${name}</th>
        <td><code>${shortType(type)}</code></td>
        <td>${resourceBadge(state)}</td>
        <td>
          <a href=${`/operations/${operation}`}>${op}</a>
          ${changed && html`<div class="soft">${changed.join(", ")}</div>`}
          ${reason !== undefined && html`<pre>${reason}</pre>`}
        </td>
        <td>${ago(at)}</td>
      </tr>`,
  );
  return html`${problem(error)}
  ${rows?.length === 0 && html`<p class="note">No operation on record has made a resource.</p>`}
  ${
    rows &&
    rows.length > 0 &&
    table("Resources", ["Resource", "Type", "State", "Last step", "When"], rows)
  }`;
}

function History({ slug }: SlugProps): VNode {
  const { data, error } = useLoaded(
    slug,
    (signal) =>
      call<{ items: readonly OperationView[] }>("GET", "/v1/operations", {
        query: { slug, limit: 100 },
        signal,
      }),
    { everyMs: REFRESH },
  );
  return html`${problem(error)} ${data && operationTable(data.items, false)}`;
}
