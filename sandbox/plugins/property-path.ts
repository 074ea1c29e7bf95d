/** Reads the value at a property path, and makes changed copies. */
import type { Path } from "../../core/engine-values.ts";
import { isObject, type Json } from "./values.ts";

/** Whether `path` is `prefix` or lies below it. `*` in the prefix matches any one part. */
export function startsWith(path: Path, prefix: Path): boolean {
  return prefix.every(
    (part, index) => index < path.length && (part === "*" || String(part) === String(path[index])),
  );
}

export function getAt(value: Json | undefined, path: Path): Json | undefined {
  return path.reduce<Json | undefined>((at, part) => {
    if (Array.isArray(at)) return typeof part === "number" ? at[part] : undefined;
    return isObject(at) ? at[part] : undefined;
  }, value);
}

/** A copy of `value` with the property at `path` replaced, or removed if `item` is undefined. */
export function withAt<T extends Json>(value: T, path: Path, item: Json | undefined): T {
  return replaceAt(value, path, item) as T;
}

function replaceAt(value: Json | undefined, path: Path, item: Json | undefined): Json | undefined {
  const [part, ...rest] = path;
  if (part === undefined) return item;
  if (Array.isArray(value)) {
    return value.map((old, index) => (index === part ? (replaceAt(old, rest, item) ?? old) : old));
  }
  const from = isObject(value) ? value : {};
  const { [part]: old, ...others } = from;
  const replaced = replaceAt(old, rest, item);
  return replaced === undefined ? others : { ...from, [part]: replaced };
}
