import type { Change } from "./model.ts";
import { runningImages, withoutRunningImage } from "./noise.ts";
import { type Limits, propertyChanges } from "./property-changes.ts";
import { safeText } from "./sensitive.ts";
import { nameOf, type Step } from "./step.ts";

/** The changes of one stack's preview, and the number of resources that stay unchanged. */
interface StackChanges {
  readonly changes: Change[];
  readonly unchanged: number;
}

/** The engine reports a replacement in up to three steps; `replace` has both states. */
const CHANGE_OP: Readonly<Partial<Record<string, Change["op"]>>> = {
  create: "create",
  update: "update",
  delete: "delete",
  import: "import",
  replace: "replace",
  "create-replacement": "replace",
  "delete-replaced": "replace",
  "import-replacement": "replace",
};

/** The order in a report: replacements and deletions first. */
const ORDER: readonly Change["op"][] = ["replace", "delete", "create", "import", "update"];

/**
 * Derives the changes of one stack from its preview's steps, without secrets and noise. With `limits`,
 * also the properties of what is created.
 */
export function stackChanges(
  steps: readonly Step[],
  secrets: readonly string[],
  limits?: Limits,
): StackChanges {
  const objects = realSteps(steps);
  const images = runningImages(objects);
  const changes: Change[] = [];
  for (const step of objects) {
    const op = CHANGE_OP[step.op];
    if (!op) continue;
    const change = withoutRunningImage(changeOf(step, op, secrets, limits), images);
    if (change) changes.push(change);
  }
  changes.sort((a, b) => ORDER.indexOf(a.op) - ORDER.indexOf(b.op) || compareText(a.urn, b.urn));
  return { changes, unchanged: objects.length - changes.length };
}

/** Keeps one step per resource, without components and the engine's own resources. */
export function realSteps(steps: readonly Step[]): Step[] {
  const byUrn = new Map<string, Step>();
  for (const step of steps) {
    if (!step.custom || step.type.startsWith("pulumi:")) continue;
    const known = byUrn.get(step.urn);
    if (known?.op === "replace") continue;
    if (!known || step.op === "replace" || (step.old && step.new)) byUrn.set(step.urn, step);
  }
  return [...byUrn.values()];
}

function changeOf(
  step: Step,
  op: Change["op"],
  secrets: readonly string[],
  limits: Limits | undefined,
): Change {
  const differs = op === "update" || op === "replace" || (limits && op === "create");
  const { properties, moreProperties } = differs
    ? propertyChanges(step, secrets, limits)
    : { properties: [], moreProperties: 0 };
  const urn = safeText(step.urn, secrets);
  const type = safeText(step.type, secrets);
  return { op, urn, type, name: nameOf(urn), properties, moreProperties };
}

/** Compares by code units, so the order is the same on every machine. */
export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
