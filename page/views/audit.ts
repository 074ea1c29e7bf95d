import { html } from "htm/preact";
import { h, type VNode } from "preact";
import { useState } from "preact/hooks";
import { call } from "../lib/api.ts";
import { useLoaded } from "../lib/load.ts";
import { ago, badge, heading, problem, table, type Tone } from "../lib/parts.ts";
import type { AuditEventView } from "../../automation/service/schemas/audit.ts";

const TONES: Readonly<Record<AuditEventView["result"], Tone>> = {
  started: "busy",
  success: "good",
  failure: "bad",
};

/** The whole trail, for those who may read it. */
export function Audit(): VNode {
  return html`${heading("Audit trail")} ${h<AuditTableProps>(AuditTable, {})}`;
}

/** The details on one line; a click shows them in full. */
function details(all: AuditEventView["details"]): VNode {
  return html`<details>
    <summary><code>${JSON.stringify(all)}</code></summary>
    <pre>${JSON.stringify(all, null, 2)}</pre>
  </details>`;
}

export interface AuditTableProps {
  /** Only events of this project. */
  readonly project?: string;
}

export function AuditTable({ project }: AuditTableProps): VNode {
  const [cursor, setCursor] = useState<string>();
  const { data, error } = useLoaded(JSON.stringify([project, cursor]), (signal) =>
    call<{ items: readonly AuditEventView[]; next?: string }>("GET", "/v1/audit", {
      query: { project, cursor, limit: 100 },
      signal,
    }),
  );
  const rows = data?.items.map(
    (event) =>
      html`<tr key=${event.id}>
        <td>${ago(event.at)}</td>
        <td class="whole">${event.action}</td>
        ${project === undefined && html`<td class="whole">${event.project}</td>`}
        <td>${event.actor}</td>
        <td>${badge(TONES[event.result], event.result)}</td>
        <td class="cut">${details(event.details)}</td>
      </tr>`,
  );
  const next = data?.next;
  return html`${problem(error)}
    ${table(
      "Audit trail",
      ["When", "Action", project === undefined && "Project", "By", "Result", "Details"],
      rows,
    )}
    <div class="pages">
      ${cursor !== undefined && html`<button class="button" onClick=${() => setCursor(undefined)}>Newest</button>`}
      ${next !== undefined && html`<button class="button" onClick=${() => setCursor(next)}>Older</button>`}
    </div>`;
}
