/** What changed between two property bags, by path: the detailed diff that the engine shows. */
import { parsePath, type Path } from "../../core/engine-values.ts";
import { startsWith } from "./property-path.ts";
import { isObject, same, type Json, type Properties } from "./values.ts";

export interface Change {
  readonly path: Path;
  readonly kind: "add" | "delete" | "update";
}

/** Null and absent are the same to every provider here. */
const gone = (value: Json | undefined): value is null | undefined =>
  value === undefined || value === null;

/** The changes that lead from `before` to `after`, at the deepest place where they differ. */
export function changesBetween(
  before: Json | undefined,
  after: Json | undefined,
  path: Path = [],
): Change[] {
  if (same(before, after) || (gone(before) && gone(after))) return [];
  if (gone(before)) return [{ path, kind: "add" }];
  if (gone(after)) return [{ path, kind: "delete" }];
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

/** What a provider answers to the engine's Diff. */
export interface DiffResult {
  readonly changes: readonly Change[];
  /** Says whether a change cannot be made in place. */
  readonly replaces: (path: Path) => boolean;
  /** @default false */
  readonly deleteBeforeReplace?: boolean;
}

/** The changes of inputs, without those below a path that the program ignores. */
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
