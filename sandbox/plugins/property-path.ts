/** Paths to a property, as the engine writes them: `spec.containers[0].image`, `labels["a.b/c"]`. */
import { isObject, type Json } from "./values.ts";

export type Path = readonly (string | number)[];

export function formatPath(path: Path): string {
  return path.reduce<string>((text, part) => {
    if (typeof part === "number") return `${text}[${part}]`;
    if (!/^[A-Za-z_$][\w$-]*$/.test(part)) return `${text}[${JSON.stringify(part)}]`;
    return text === "" ? part : `${text}.${part}`;
  }, "");
}

/** Reads a path; `[*]` becomes the name `*`. Throws where the text is no path. */
export function parsePath(text: string): Path {
  const part = /\.?([^.[\]"]+)|\[(\d+)\]|\[\*\]|\[("(?:[^"\\]|\\.)*")\]/y;
  const path: (string | number)[] = [];
  while (part.lastIndex < text.length) {
    const match = part.exec(text);
    if (match === null) throw new Error(`"${text}" is not a property path`);
    const [, name, index, quoted] = match;
    if (name !== undefined) path.push(name);
    else if (index !== undefined) path.push(Number(index));
    else path.push(quoted === undefined ? "*" : (JSON.parse(quoted) as string));
  }
  return path;
}

/** True where `path` is `prefix` or lies below it; `*` in the prefix stands for any one part. */
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

/** A copy of `value` with the property at `path` replaced, or left out where `item` is undefined. */
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
