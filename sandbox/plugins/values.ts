/** Property values in the engine's form: JSON with marks for secrets and unknowns. */
export type Json = null | boolean | number | string | Json[] | Properties;
export interface Properties {
  [name: string]: Json;
}

/** The engine's mark for a value that is not known before the update (pulumi/sdk rpc.ts). */
export const UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";
const SIGNATURE = "4dabf18193072939515e22adb298388d";
const SECRET = "1b47061264138c4ac30d75fd1eb44270";
const OUTPUT = "d0e6a833031e9bbcd3f4e8bde6ca49a4";

export function isObject(value: Json | undefined): value is Properties {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function isSecret(value: Json | undefined): boolean {
  return isObject(value) && value[SIGNATURE] === SECRET;
}

export function secret(value: Json): Json {
  return isSecret(value) ? value : { [SIGNATURE]: SECRET, value };
}

function some(value: Json | undefined, matches: (value: Json) => boolean): boolean {
  if (value === undefined) return false;
  if (matches(value)) return true;
  if (Array.isArray(value)) return value.some((item) => some(item, matches));
  return isObject(value) && Object.values(value).some((item) => some(item, matches));
}

/** The text of a string, number or boolean; empty for anything else. */
export function textOf(value: Json | undefined): string {
  return value === undefined || value === null || typeof value === "object" ? "" : String(value);
}

/** A copy without the named properties. */
export function without(object: Properties, ...names: readonly string[]): Properties {
  return Object.fromEntries(Object.entries(object).filter(([name]) => !names.includes(name)));
}

/** Whether the value contains a secret. */
export function hasSecret(value: Json | undefined): boolean {
  return some(value, isSecret);
}

/** Whether the value contains an unknown. */
export function hasUnknown(value: Json | undefined): boolean {
  return some(value, (item) => item === UNKNOWN);
}

/** The value without its marks, with secrets in plain text. */
export function reveal<T extends Json>(value: T): T {
  return revealJson(value) as T;
}

function revealJson(value: Json): Json {
  if (Array.isArray(value)) return value.map(revealJson);
  if (!isObject(value)) return value;
  if (isSecret(value)) return revealJson(value["value"] ?? null);
  if (value[SIGNATURE] === OUTPUT) return revealJson(value["value"] ?? UNKNOWN);
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, revealJson(item)]));
}

/** Marks as secret what is secret at the same path in `like`. */
export function markSecrets<T extends Json>(value: T, like: Json | undefined): T {
  return markJson(value, like) as T;
}

function markJson(value: Json, like: Json | undefined): Json {
  if (like === undefined || isSecret(value)) return value;
  if (isSecret(like)) return secret(value);
  if (Array.isArray(value)) {
    if (!Array.isArray(like)) return value;
    // After items were added or removed, an index no longer identifies the secret one.
    if (value.length !== like.length) return hasSecret(like) ? secret(value) : value;
    return value.map((item, index) => markJson(item, like[index]));
  }
  if (!isObject(value) || !isObject(like)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, markJson(item, like[key])]),
  );
}

/** All secret texts in the value, for redaction. */
export function secretTexts(value: Json | undefined, within = false): string[] {
  if (value === undefined || value === null) return [];
  if (isSecret(value)) return secretTexts(reveal(value), true);
  if (Array.isArray(value)) return value.flatMap((item) => secretTexts(item, within));
  if (isObject(value)) return Object.values(value).flatMap((item) => secretTexts(item, within));
  return within && typeof value !== "boolean" ? [textOf(value)] : [];
}

/** Equality as JSON, regardless of the order of property names. */
export function same(a: Json | undefined, b: Json | undefined): boolean {
  if (a === b) return true;
  if (Array.isArray(a) && Array.isArray(b)) {
    return a.length === b.length && a.every((item, index) => same(item, b[index]));
  }
  if (!isObject(a) || !isObject(b)) return false;
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => same(a[key], b[key]));
}
