import { connectionSecrets } from "../../core/connections.ts";
import type { PropertyChange } from "../../core/previews/model.ts";
import { propertyChanges } from "../../core/previews/property-changes.ts";
import { nameOf, type Step } from "../../core/previews/step.ts";
import { count, cutMiddle } from "../../core/previews/text.ts";
import { isGroup, paint, plannedSign, printable, resourceWithPurpose, verb } from "../text.ts";

/** In characters. */
const MAX_VALUE = 200;

/** Operations whose lines show values; a deletion has nothing to compare with. */
const WITH_VALUES = ["create", "update", "replace", "create-replacement", "import"];

/** What differs in each resource of an operation, as lines without secrets. */
export class Differences {
  readonly #steps = new Map<string, Step>();

  add(step: Step): void {
    // The engine reports a replacement in several steps; `replace` has both sides.
    if (this.#steps.get(step.urn)?.op === "replace") return;
    this.#steps.set(step.urn, step);
  }

  /** The changed properties of one resource: `    sizes.replicas: 1 => 2`. */
  lines(urn: string): string[] {
    const step = this.#steps.get(urn);
    return step && step.op !== "create" ? linesOf(step) : [];
  }

  /** Every resource that would change, with the inputs of new ones. */
  details(): string[] {
    const steps = [...this.#steps.values()].filter(
      ({ type, op, custom }) =>
        !isGroup({ component: !custom, type, op }) &&
        !type.startsWith("pulumi:") &&
        (op === "delete" || WITH_VALUES.includes(op)),
    );
    return steps.flatMap((step) => {
      const op = step.op === "replace" ? "create-replacement" : step.op;
      const name = nameOf(step.urn);
      return [
        `${plannedSign(op)} ${verb(op, "would")} ${resourceWithPurpose({ ...step, name })}`,
        ...linesOf(step),
      ];
    });
  }
}

function linesOf(step: Step): string[] {
  if (!WITH_VALUES.includes(step.op)) return [];
  const { properties, moreProperties } = propertyChanges(step, connectionSecrets());
  return propertyLines(properties, moreProperties);
}

/** A line for each property, and one that counts those that are not listed. */
export function propertyLines(properties: readonly PropertyChange[], more: number): string[] {
  const lines = properties.map((property) => `    ${propertyText(property)}`);
  return more > 0
    ? [...lines, `    and ${count(more, "more property", "more properties")}`]
    : lines;
}

/** `sizes.replicas: 1 => 2`, `+ paused: true` or `- paused: true`. */
function propertyText({ path, kind, replaces, ...values }: PropertyChange): string {
  const [before, after] = [values.old, values.new].map((value) =>
    printable(cutMiddle(value ?? "", MAX_VALUE)),
  );
  const name = printable(path);
  const effect = replaces ? paint("magenta", " (replaces)") : "";
  if (kind === "add") return `${paint("green", `+ ${name}: ${after}`)}${effect}`;
  if (kind === "delete") return `${paint("red", `- ${name}: ${before}`)}${effect}`;
  return `${paint("yellow", `${name}:`)} ${before} => ${after}${effect}`;
}
