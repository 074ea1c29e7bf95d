/** A property in a resource's state: a destroy has begun, so the outputs may not match the object. */
export const DELETE_BEGUN = "deleteBegun";

/**
 * Pulumi's marks on a value that is not plain
 * (https://github.com/pulumi/pulumi/blob/master/sdk/go/common/resource/sig).
 */
const SIGNATURE = "4dabf18193072939515e22adb298388d";
const SECRET = "1b47061264138c4ac30d75fd1eb44270";
/** Stands for a value that is known only after the update. */
const UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";

/** Replaces a secret in text. The engine uses the same text in its events. */
export const SECRET_TEXT = "[secret]";

export function isSecret(value: unknown): value is Readonly<Record<string, unknown>> {
  return isRecord(value) && value[SIGNATURE] === SECRET;
}

export function isUnknown(value: unknown): boolean {
  return value === UNKNOWN;
}

/** True for an object of properties: not for a list, not for null. */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Copies a value: secrets become `[secret]`, unknown values become the text `unknown`. */
export function mask(value: unknown, unknown = "[unknown]"): unknown {
  if (isUnknown(value)) return unknown;
  if (Array.isArray(value)) return value.map((item) => mask(item, unknown));
  if (!isRecord(value)) return value;
  if (isSecret(value)) return SECRET_TEXT;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [key, mask(inner, unknown)]),
  );
}

/** Shortens a type: `gitea:Repository` for `pulumi-nodejs:dynamic/gitea:Repository`. */
export function typeText(type: string): string {
  const [provider = "", ...rest] = type.replace(/^pulumi-nodejs:dynamic\//, "").split(":");
  const kind = rest.at(-1);
  return kind === undefined ? provider : `${provider}:${kind}`;
}

/** The path of a property. The engine writes it as `spec.containers[0].image`, `labels["a.b/c"]`. */
export type Path = readonly (string | number)[];

export function formatPath(path: Path): string {
  return path.reduce<string>((text, part) => {
    if (typeof part === "number") return `${text}[${part}]`;
    if (!/^[A-Za-z_$][\w$-]*$/.test(part)) return `${text}[${JSON.stringify(part)}]`;
    return text === "" ? part : `${text}.${part}`;
  }, "");
}

/** Reads a path; `[*]` becomes the name `*`. Throws if the text is not a path. */
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
