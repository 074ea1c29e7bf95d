import { html } from "htm/preact";
import type { VNode } from "preact";
import type { Change } from "../../core/previews/model.ts";

/** The properties that differ, each with its old and new value. The service has masked the secrets. */
export function propertyChanges({
  properties,
  moreProperties,
}: Pick<Change, "properties" | "moreProperties">): VNode | null {
  if (properties.length === 0) return null;
  return html`<ul class="properties">
    ${properties.map(
      ({ path, replaces, old, new: next }) =>
        html`<li key=${path}>
          <code>${path}</code> ${old !== undefined && html`<del>${old}</del>`}
          ${old !== undefined && next !== undefined && " → "}
          ${next !== undefined && html`<ins>${next}</ins>`}
          ${replaces && html`<span class="soft"> (replaces the resource)</span>`}
        </li>`,
    )}
    ${moreProperties > 0 && html`<li class="soft">and ${moreProperties} more</li>`}
  </ul>`;
}
