import {
  formatPath,
  isRecord,
  isSecret,
  isUnknown,
  type Path,
  SECRET_TEXT,
} from "../engine-values.ts";
import { redact } from "../errors.ts";

/** Property names whose text is always treated as a secret. */
const SENSITIVE =
  /(password|passwd|passphrase|secret|token|api[-_]?key|access[-_]?key|private[-_]?key|credential)s?$/i;

/** What a Kubernetes Secret holds, by its type's own properties. */
const SECRET_PROPERTIES = ["data", "stringData"];

/** The password in a URL. */
const URL_PASSWORD = /\b([a-z][a-z0-9+.-]*:\/\/[^\s/:@]*:)[^\s/@]+(?=@)/gi;

/** Shown for a value that is known only after the update. */
const COMPUTED_TEXT = "computed";

/** Removes secrets from a value: marked ones, those that look like one, and those of connections. */
export function safeValue(
  type: string,
  path: Path,
  value: unknown,
  secrets: readonly string[],
): unknown {
  const name = path.findLast((part) => typeof part === "string") ?? "";
  if (value === undefined) return undefined;
  if (isUnknown(value)) return COMPUTED_TEXT;
  if (isSecret(value) || isSecretProperty(type, path)) return SECRET_TEXT;
  if (typeof value === "string") {
    return SENSITIVE.test(name) ? SECRET_TEXT : safeText(value, secrets);
  }
  if (Array.isArray(value)) {
    return value.map((item, index) => safeValue(type, [...path, index], item, secrets));
  }
  if (!isRecord(value)) return value;
  const entries = Object.entries(value).map(([key, inner]) => {
    const shown = isNamedSecret(value, key)
      ? SECRET_TEXT
      : safeValue(type, [...path, key], inner, secrets);
    return [safeText(key, secrets), shown] as const;
  });
  return Object.fromEntries(entries);
}

/** Removes the secrets of connections, and passwords in URLs, from a text. */
export function safeText(text: string, secrets: readonly string[]): string {
  return redact(text, secrets).replace(URL_PASSWORD, `$1${SECRET_TEXT}`);
}

/** The paths of secrets in plain text. */
export function plainSecrets(
  type: string,
  inputs: Readonly<Record<string, unknown>>,
  secrets: readonly string[],
): string[] {
  const found: string[] = [];
  const visit = (path: Path, value: unknown, named = false): void => {
    if (isSecret(value) || isUnknown(value)) return;
    if (typeof value === "string") {
      const name = path.findLast((part) => typeof part === "string") ?? "";
      const sensitive = named || SENSITIVE.test(name) || isSecretProperty(type, path);
      const leaks = value !== "" && (sensitive || safeText(value, secrets) !== value);
      if (leaks && value !== SECRET_TEXT) found.push(formatPath(path));
    } else if (Array.isArray(value)) {
      value.forEach((item, index) => visit([...path, index], item));
    } else if (isRecord(value)) {
      for (const [key, inner] of Object.entries(value)) {
        visit([...path, key], inner, isNamedSecret(value, key));
      }
    }
  };
  for (const [key, value] of Object.entries(inputs)) {
    if (!key.startsWith("__")) visit([key], value);
  }
  return found;
}

function isSecretProperty(type: string, path: Path): boolean {
  return (
    /^kubernetes:core\/v1:Secret(Patch)?$/.test(type) && SECRET_PROPERTIES.includes(String(path[0]))
  );
}

/** True for the value of a pair such as `{ name: "DB_PASSWORD", value: "…" }`. */
function isNamedSecret(pair: Readonly<Record<string, unknown>>, key: string): boolean {
  return key === "value" && typeof pair["name"] === "string" && SENSITIVE.test(pair["name"]);
}
