import { isDeepStrictEqual } from "node:util";
import {
  formatPath,
  isRecord,
  isSecret,
  parsePath,
  type Path,
  SECRET_TEXT,
} from "../engine-values.ts";
import type { PropertyChange } from "./model.ts";
import { isNoise } from "./noise.ts";
import { safeText, safeValue } from "./sensitive.ts";
import type { Properties, Step } from "./step.ts";
import { cutMiddle, cutPair, MAX_VALUE } from "./text.ts";

/** How much is kept: properties of a resource, and characters of a path and of a value. */
export interface Limits {
  readonly properties: number;
  readonly path: number;
  readonly value: number;
}

/** The limits for what people read. */
const SHOWN: Limits = { properties: 200, path: 300, value: MAX_VALUE };

interface PropertyChanges {
  readonly properties: PropertyChange[];
  /** How many are not listed. */
  readonly moreProperties: number;
}

interface Difference extends Pick<PropertyChange, "kind"> {
  readonly path: Path;
  readonly replaces: boolean;
  readonly old: unknown;
  readonly new: unknown;
}

/** The properties that differ in a resource, with values that are safe to show. */
export function propertyChanges(
  step: Step,
  secrets: readonly string[],
  limits = SHOWN,
): PropertyChanges {
  return listed(step.type, differences(step), secrets, limits);
}

function listed(
  type: string,
  found: readonly Difference[],
  secrets: readonly string[],
  limits = SHOWN,
): PropertyChanges {
  const all = found.filter(({ path }) => !isNoise(type, path));
  return {
    properties: all
      .slice(0, limits.properties)
      .map((difference) => propertyChange(type, difference, secrets, limits)),
    moreProperties: Math.max(0, all.length - limits.properties),
  };
}

/** The properties of a resource that differ on its server from what the state records. */
export function serverChanges(step: Step, secrets: readonly string[]): PropertyChanges {
  const found = compare([], step.old?.outputs ?? {}, step.new?.outputs ?? {});
  return listed(
    step.type,
    found.map((difference) => ({ ...difference, replaces: false })),
    secrets,
  );
}

function differences(step: Step): Difference[] {
  const reported = Object.entries(step.detailedDiff ?? {});
  if (reported.length > 0) {
    return reported.map(([text, { diffKind, inputDiff }]) => {
      const path = parsed(text);
      const [first, second] = [step.old?.outputs, step.old?.inputs];
      const [before, other] = inputDiff ? [second, first] : [first, second];
      return {
        path,
        kind: kindOf(diffKind),
        replaces: diffKind.endsWith("-replace"),
        old: diffKind.startsWith("add") ? undefined : (at(before, path) ?? at(other, path)),
        new: diffKind.startsWith("delete")
          ? undefined
          : (at(step.new?.inputs, path) ?? at(step.new?.outputs, path)),
      };
    });
  }
  const replaces = (path: Path) => step.replaceKeys.includes(String(path[0]));
  const [before, after] = [step.old?.inputs ?? {}, step.new?.inputs ?? {}];
  const found = compare([], before, after);
  const differ = found.length > 0 ? found : secretsOf(before, after);
  return differ.map((difference) => ({ ...difference, replaces: replaces(difference.path) }));
}

/** A property of the record itself: every object inherits others, such as `toString`. */
function own(record: Properties, key: string): unknown {
  return Object.hasOwn(record, key) ? record[key] : undefined;
}

type Compared = Omit<Difference, "replaces">;

function compare(path: Path, before: unknown, after: unknown): Compared[] {
  if (isDeepStrictEqual(before, after)) return [];
  if (isRecord(before) && isRecord(after) && !isSecret(before) && !isSecret(after)) {
    const keys = new Set([...Object.keys(before), ...Object.keys(after)]);
    return [...keys].flatMap((key) => compare([...path, key], own(before, key), own(after, key)));
  }
  if (Array.isArray(before) && Array.isArray(after)) {
    const length = Math.max(before.length, after.length);
    return Array.from({ length }, (_, index) => index).flatMap((index) =>
      compare([...path, index], before[index], after[index]),
    );
  }
  const kind = before === undefined ? "add" : after === undefined ? "delete" : "update";
  return [{ path, kind, old: before, new: after }];
}

/**
 * The engine's events do not say which secret differs. If nothing else differs, one of these secrets
 * does.
 */
function secretsOf(before: Properties, after: Properties): Compared[] {
  return Object.keys(after)
    .filter((key) => isSecret(before[key]) && isSecret(after[key]))
    .map((key) => ({ path: [key], kind: "update", old: before[key], new: after[key] }));
}

function propertyChange(
  type: string,
  { path, kind, replaces, old: before, new: after }: Difference,
  secrets: readonly string[],
  limits: Limits,
): PropertyChange {
  const [a, b] = [before, after].map((value) => safeValue(type, path, value, secrets));
  const shown = texts(a, b, limits.value);
  return {
    path: cutMiddle(safeText(formatPath(path), secrets), limits.path),
    kind,
    replaces,
    ...(kind !== "add" && before !== undefined && { old: shown[0] }),
    ...(kind !== "delete" && after !== undefined && { new: shown[1] }),
  };
}

/** Strings have no quotes, unless they would then look the same as the other value. */
function texts(a: unknown, b: unknown, limit: number): readonly [string, string] {
  const bare = [a, b].map((value) => (typeof value === "string" ? value : json(value)));
  const [first = "", second = ""] = bare;
  const alike = first === second && first !== SECRET_TEXT && typeof a !== typeof b;
  return alike ? cutPair(json(a), json(b), limit) : cutPair(first, second, limit);
}

function json(value: unknown): string {
  return value === undefined ? "" : JSON.stringify(value);
}

/** Anything inside a secret is that secret. */
function at(value: unknown, path: Path): unknown {
  return path.reduce<unknown>((inner, part) => {
    if (isSecret(inner)) return inner;
    if (Array.isArray(inner)) return (inner as unknown[])[Number(part)];
    return isRecord(inner) ? own(inner, String(part)) : undefined;
  }, value);
}

function kindOf(diffKind: string): PropertyChange["kind"] {
  if (diffKind.startsWith("add")) return "add";
  return diffKind.startsWith("delete") ? "delete" : "update";
}

/** Parses a path. A text that is not a path is kept as one part. */
function parsed(text: string): Path {
  try {
    return parsePath(text);
  } catch {
    return [text];
  }
}
