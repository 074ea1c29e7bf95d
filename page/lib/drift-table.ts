import { html } from "htm/preact";
import type { VNode } from "preact";
import type { DriftChange } from "../../core/drift.ts";
import type { ProjectView } from "../../automation/service/schemas/project.ts";
import { ago, table } from "./parts.ts";
import { shortType } from "./progress.ts";
import { propertyChanges } from "./property-changes.ts";

const TEXTS: Readonly<Record<DriftChange["op"], string>> = {
  update: "changed",
  replace: "replaced",
  delete: "deleted",
  create: "new",
  import: "new",
};

/** The objects that others have changed, and since when. Nothing without any. */
export function driftTable({ changes = [] }: NonNullable<ProjectView["drift"]>): VNode | null {
  if (changes.length === 0) return null;
  const rows = changes.map(
    ({ urn, op, type, name, properties, moreProperties, by, since }) =>
      html`<tr key=${urn}>
        <th scope="row">${name}</th>
        <td><code>${shortType(type)}</code></td>
        <td>${TEXTS[op]} ${propertyChanges({ properties, moreProperties })}</td>
        <td>${by.map(({ manager }) => manager).join(", ")}</td>
        <td>${ago(since)}</td>
      </tr>`,
  );
  return table("Drift", ["Resource", "Type", "Change", "By", "Since"], rows);
}
