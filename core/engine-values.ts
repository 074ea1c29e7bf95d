/**
 * Pulumi's marks on a value that is not a plain one
 * (https://github.com/pulumi/pulumi/blob/master/sdk/go/common/resource/sig).
 */
const SIGNATURE = "4dabf18193072939515e22adb298388d";
const SECRET = "1b47061264138c4ac30d75fd1eb44270";
/** Known only after the update. */
const UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";

/** What a secret is shown as. The engine itself puts it in a secret's place in its events. */
export const SECRET_TEXT = "[secret]";

export function isSecret(value: unknown): boolean {
  return isRecord(value) && value[SIGNATURE] === SECRET;
}

export function isUnknown(value: unknown): boolean {
  return value === UNKNOWN;
}

/** An object of properties: neither a list nor null. */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A copy without marks: secrets are `[secret]`, what is not known yet is `unknown`'s text. */
export function mask(value: unknown, unknown = "[unknown]"): unknown {
  if (isUnknown(value)) return unknown;
  if (Array.isArray(value)) return value.map((item) => mask(item, unknown));
  if (!isRecord(value)) return value;
  if (isSecret(value)) return SECRET_TEXT;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [key, mask(inner, unknown)]),
  );
}
