/** The changes between two property bags, by path: the detailed diff that the engine shows. */
import { parsePath, type Path } from "../../core/engine-values.ts";
import { startsWith } from "./property-path.ts";
import { isObject, same, type Json, type Properties } from "./values.ts";

export interface Change {
  readonly path: Path;
  readonly kind: "add" | "delete" | "update";
}

/** The stand-ins treat null and absent alike. */
const isAbsent = (value: Json | undefined): value is null | undefined =>
  value === undefined || value === null;

/** The changes from `before` to `after`, at the deepest differing paths. */
export function changesBetween(
  before: Json | undefined,
  after: Json | undefined,
  path: Path = [],
): Change[] {
  if (same(before, after) || (isAbsent(before) && isAbsent(after))) return [];
  if (isAbsent(before)) return [{ path, kind: "add" }];
  if (isAbsent(after)) return [{ path, kind: "delete" }];
  if (isObject(before) && isObject(after)) {
    const names = new Set([...Object.keys(before), ...Object.keys(after)]);
    return [...names].flatMap((name) => changesBetween(before[name], after[name], [...path, name]));
  }
  if (Array.isArray(before) && Array.isArray(after)) {
    const length = Math.max(before.length, after.length);
    return Array.from({ length }, (_, index) =>
      changesBetween(before[index], after[index], [...path, index]),
    ).flat();
  }
  return [{ path, kind: "update" }];
}

/** A provider's answer to the engine's Diff call. */
export interface DiffResult {
  readonly changes: readonly Change[];
  /** Whether a change at this path replaces the resource. */
  readonly replaces: (path: Path) => boolean;
  /** @default false */
  readonly deleteBeforeReplace?: boolean;
}

/** The changes of the inputs, without those at or below a path in `ignoreChanges`. */
export function changedInputs(
  before: Properties,
  after: Properties,
  ignoreChanges: readonly string[] = [],
): Change[] {
  const ignored = ignoreChanges.map(parsePath);
  return changesBetween(before, after).filter(
    ({ path }) => !ignored.some((prefix) => startsWith(path, prefix)),
  );
}
