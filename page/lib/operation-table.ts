import { html } from "htm/preact";
import type { VNode } from "preact";
import type { OperationView } from "../../automation/service/schemas/operation.ts";
import { durationText } from "./format.ts";
import { ago, table } from "./parts.ts";
import { operationBadge } from "./states.ts";

/** A table of operations, newest first. */
export function operationTable(operations: readonly OperationView[], hasSlugs: boolean): VNode {
  return table(
    "Operations",
    [hasSlugs && "Project", "Operation", "State", "By", "When", { number: "Time" }, "Error"],
    operations.map((operation) => row(operation, hasSlugs)),
  );
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
