import { styleText } from "node:util";
import { typeText } from "../core/engine-values.ts";
import type { Changes, OperationError, Remaining, ResourceStep } from "../core/operation.ts";
import { nameOf, typeOf } from "../core/previews/step.ts";
import { SETTINGS_RECORD } from "../core/recorded-settings.ts";

export type Style = Parameters<typeof styleText>[0];

/** Colours the text if stdout is a terminal and NO_COLOR is not set. */
export function paint(style: Style, text: string): string {
  return styleText(style, text, { stream: process.stdout });
}

/** `past` for what is done, `would` for what a preview plans. */
export type Tense = "past" | "would";

const COUNTED: readonly [keyof Changes, past: string, would: string][] = [
  ["create", "created", "to create"],
  ["update", "updated", "to update"],
  ["replace", "replaced", "to replace"],
  ["delete", "deleted", "to delete"],
  ["same", "unchanged", "unchanged"],
];

/** `3 created, 1 unchanged`; empty if there is nothing to count. */
export function changesText(changes: Changes, tense: Tense): string {
  return COUNTED.filter(([key]) => changes[key] > 0)
    .map(([key, past, would]) => `${changes[key]} ${tense === "past" ? past : would}`)
    .join(", ");
}

/** How many resources changed, or would change. */
export function countOfChanges({ same: _, ...changes }: Changes): number {
  return Object.values(changes).reduce((sum, count) => sum + count, 0);
}

/** `0.4 s`, `12 s`, `2 min 5 s`. */
export function durationText(ms: number): string {
  if (ms < 9950) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

/**
 * True for a component, which only groups other resources. An update of the settings record is shown all
 * the same: it may be the only change.
 */
export function isGroup(step: Pick<ResourceStep, "component" | "type" | "op">): boolean {
  return step.component && !(step.type === SETTINGS_RECORD && step.op === "update");
}

/** Resources whose type does not say what they do. */
const PURPOSES: Readonly<Partial<Record<string, string>>> = {
  SettingsRecord: "records the settings of the last up",
  TemplateSeed: "seeds the template",
  "kubernetes:ClusterClaim": "checks that the cluster is free for this platform",
  "kubernetes:ForeignFields": "looks up the fields that others changed",
  "kubernetes:RunningImage": "looks up the image that runs",
  "woodpecker:Pipeline": "starts the first build",
};

type Resource = Pick<ResourceStep, "urn" | "type" | "name">;

/** `gitea:Repository my-app`. A command runs for a component, so it is named by that component. */
export function resourceText({ urn, type, name }: Resource): string {
  return `${kindOf(urn, type)} ${name}`;
}

/** The same, with what it does where the type does not say it. */
export function resourceWithPurpose(resource: Resource): string {
  const purpose = PURPOSES[kindOf(resource.urn, resource.type)];
  return `${resourceText(resource)}${purpose === undefined ? "" : `: ${purpose}`}`;
}

function kindOf(urn: string, type: string): string {
  const [, component] = /:(\w+)\$command:local:Command::/.exec(urn) ?? [];
  return component ?? typeText(type).replace(/^rdev:/, "");
}

/** `creating`, `created` or `would create`; undefined for an operation that changes nothing. */
export function verb(op: string, when: "now" | Tense): string | undefined {
  const forms = VERBS[op];
  return forms?.[when === "now" ? 0 : when === "past" ? 1 : 2];
}

/** The engine also reports a replacement as a whole (`replace`): its two halves are enough. */
const VERBS: Partial<Record<string, readonly [now: string, past: string, would: string]>> = {
  create: ["creating", "created", "would create"],
  "create-replacement": ["replacing", "replaced", "would replace"],
  delete: ["deleting", "deleted", "would delete"],
  "delete-replaced": ["deleting old", "deleted old", "would delete old"],
  update: ["updating", "updated", "would update"],
  import: ["importing", "imported", "would import"],
  refresh: ["reading", "read", "would read"],
};

/** How each operation is marked in a preview. */
const SIGNS: Readonly<Partial<Record<string, readonly [sign: string, style: Style]>>> = {
  create: ["+", "green"],
  import: ["=", "green"],
  update: ["~", "yellow"],
  "create-replacement": ["±", "magenta"],
  replace: ["±", "magenta"],
  delete: ["-", "red"],
};

/** The mark of an operation that a preview plans. */
export function plannedSign(op: string): string {
  const [sign, style] = SIGNS[op] ?? [" ", "reset"];
  return paint(style, sign);
}

/** `CODE: message (resource)`. */
export function errorText({ code = "RDEV_ENGINE", urn = "", message }: OperationError): string {
  const type = typeOf(urn);
  const hasResource = type !== "" && type !== "pulumi:pulumi:Stack";
  const where = hasResource ? ` (${resourceText({ urn, type, name: nameOf(urn) })})` : "";
  return `${code}: ${message}${where}`;
}

/** The words before a leftover of a destroyed project, by the reason why it is there. */
const LEFTOVER: Readonly<Record<Remaining["why"], string>> = {
  retained: "kept on",
  left: "still on",
  unreachable: "unknown, because it cannot be reached:",
  "not-ours": "left alone, because it does not carry this stack's mark, on",
};

export function leftoverText({ system, what, why }: Remaining): string {
  return `${LEFTOVER[why]} ${system}: ${what}`;
}

/** Outputs as aligned lines, each value as JSON: one output a line, for a log or a program. */
export function outputLines(outputs: Readonly<Record<string, unknown>>): string[] {
  const width = widest(Object.keys(outputs));
  return Object.entries(outputs).map(
    ([key, value]) =>
      `  ${key.padEnd(width)}  ${typeof value === "string" ? value : JSON.stringify(value)}`,
  );
}

/** Outputs as aligned lines for a person: an object's values are indented below its name. */
export function outputTree(outputs: Readonly<Record<string, unknown>>, indent = "  "): string[] {
  const width = widest(Object.keys(outputs).filter((key) => !isNested(outputs[key])));
  return Object.entries(outputs).flatMap(([key, value]) => {
    if (!isNested(value)) return [`${indent}${key.padEnd(width)}  ${scalar(value)}`];
    return [`${indent}${key}`, ...outputTree({ ...value }, `${indent}  `)];
  });
}

/** An object, or a list of objects; a list of plain values fits on one line. */
function isNested(value: unknown): value is object {
  if (typeof value !== "object" || value === null) return false;
  return Array.isArray(value) ? value.some(isNested) : Object.keys(value).length > 0;
}

function scalar(value: unknown): string {
  if (Array.isArray(value)) return value.length === 0 ? "none" : value.map(scalar).join(", ");
  return typeof value === "string" ? printable(value) : JSON.stringify(value);
}

function widest(texts: readonly string[]): number {
  return Math.max(0, ...texts.map((text) => text.length));
}

/**
 * Escapes control characters, and characters that change the direction of writing. A value from
 * elsewhere can then neither control the terminal nor look like two lines.
 */
export function printable(text: string): string {
  return text.replaceAll(/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu, (character) => {
    if (character === "\n") return "\\n";
    if (character === "\t") return "\\t";
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}
