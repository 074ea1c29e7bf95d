import { html } from "htm/preact";
import type { VNode } from "preact";
import type { OperationView } from "../../automation/service/schemas/operation.ts";
import { durationText } from "./format.ts";
import { ago } from "./parts.ts";
import { operationBadge } from "./states.ts";

/** A table of operations, newest first. */
export function operationTable(operations: readonly OperationView[], hasSlugs: boolean): VNode {
  return html`<div class="scroll" role="region" aria-label="Operations" tabindex="0">
    <table>
      <thead>
        <tr>
          ${hasSlugs && html`<th scope="col">Project</th>`}
          <th scope="col">Operation</th>
          <th scope="col">State</th>
          <th scope="col">By</th>
          <th scope="col">When</th>
          <th scope="col" class="number">Time</th>
          <th scope="col">Error</th>
        </tr>
      </thead>
      <tbody>
        ${operations.map((operation) => row(operation, hasSlugs))}
      </tbody>
    </table>
  </div>`;
}

function row(
  { id, slug, request, state, actor, createdAt, outcome }: OperationView,
  hasSlug: boolean,
) {
  const [error] = outcome?.errors ?? [];
  return html`<tr key=${id}>
    ${hasSlug && html`<th scope="row"><a href=${`/projects/${slug}`}>${slug}</a></th>`}
    <td>
      <a href=${`/operations/${id}`}
        >${request.kind}${request.kind === "preview" && request.of === "destroy" && " of a destroy"}</a
      >
    </td>
    <td>${operationBadge(state)}</td>
    <td>${actor}</td>
    <td>${ago(createdAt)}</td>
    <td class="number">${outcome && durationText(outcome.durationMs)}</td>
    <td class="cut">${error?.message.split("\n")[0]}</td>
  </tr>`;
}
