import type { Changes, ResourceStep } from "../automation/engine/events.ts";
import type { OperationError } from "../automation/engine/messages.ts";
import { typeText } from "../core/engine-values.ts";

/** How an operation is told: `past` when it is being done, `would` in a preview. */
export type Tense = "past" | "would";

const COUNTED: readonly [keyof Changes, past: string, would: string][] = [
  ["create", "created", "to create"],
  ["update", "updated", "to update"],
  ["replace", "replaced", "to replace"],
  ["delete", "deleted", "to delete"],
  ["same", "unchanged", "unchanged"],
];

/** `3 created, 1 unchanged`; empty when there is nothing to count. */
export function changesText(changes: Changes, tense: Tense): string {
  const parts = COUNTED.filter(([key]) => changes[key] > 0).map(
    ([key, past, would]) => `${changes[key]} ${tense === "past" ? past : would}`,
  );
  return parts.join(", ");
}

/** How many resources differ from what they were, or are to be. */
export function countOfChanges({ same: _, ...changes }: Changes): number {
  return Object.values(changes).reduce((sum, count) => sum + count, 0);
}

/** `0.4 s`, `12 s`, `2 min 5 s`. */
export function durationText(ms: number): string {
  if (ms < 9950) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

export function resourceText({ type, name }: Pick<ResourceStep, "type" | "name">): string {
  return `${typeText(type)} ${name}`;
}

/** What is done to a resource, in one word or two; undefined for what a person need not see. */
export function verb(op: ResourceStep["op"], when: "now" | Tense): string | undefined {
  const forms = VERBS[op];
  return forms?.[when === "now" ? 0 : when === "past" ? 1 : 2];
}

const CREATE = ["creating", "created", "would create"] as const;
const DELETE = ["deleting", "deleted", "would delete"] as const;
/** A replacement is also told as a whole (`replace`): its two halves are enough. */
const VERBS: Partial<Record<ResourceStep["op"], readonly [string, string, string]>> = {
  create: CREATE,
  "create-replacement": ["replacing", "replaced", "would replace"],
  delete: DELETE,
  "delete-replaced": ["deleting old", "deleted old", "would delete old"],
  update: ["updating", "updated", "would update"],
  import: ["importing", "imported", "would import"],
  refresh: ["looking at", "looked at", "would look at"],
};

/** `CODE: message (resource)`. */
export function errorText({ code, urn, message }: OperationError): string {
  const [, , type, ...name] = urn?.split("::") ?? [];
  const where =
    type && type !== "pulumi:pulumi:Stack"
      ? ` (${resourceText({ type: type.split("$").at(-1) ?? type, name: name.join("::") })})`
      : "";
  return `${code ?? "RDEV_ENGINE"}: ${message}${where}`;
}

/** Outputs as aligned lines. */
export function outputLines(outputs: Readonly<Record<string, unknown>>): string[] {
  const width = Math.max(0, ...Object.keys(outputs).map((key) => key.length));
  return Object.entries(outputs).map(
    ([key, value]) =>
      `  ${key.padEnd(width)}  ${typeof value === "string" ? value : JSON.stringify(value)}`,
  );
}
