import { connectionSecrets } from "../../core/connections.ts";
import { redact, userMessage } from "../../core/errors.ts";

type Details = Record<string, unknown>;

const SECRET = "[secret]";
const SECRET_NAME =
  /pass(word|wd|phrase)|secret|token|api[-_]?key|private[-_]?key|authori[sz]ation|cookie|credential/i;
/** Keys of Citadel and of the API, credentials after Bearer or Basic, and passwords in URLs. */
const SECRET_TEXT =
  /\b(?:ck_|rdk_[0-9a-f]{16}_)[\w-]{4,}|(?<=\b(?:bearer|basic)\s+)\S{4,}|(?<=:\/\/[^\s/:@]*:)[^\s/@]+(?=@)/gi;

const MAX_TEXT = 4_000;
const MAX_ENTRIES = 100;
const MAX_DEPTH = 6;
const MAX_BYTES = 64 * 1024;

/** Details as they are stored: JSON that PostgreSQL accepts, without secrets, at most 64 KiB. */
export function cleanDetails(details: object): Details {
  const clean = new Cleaner().object(details);
  const bytes = Buffer.byteLength(JSON.stringify(clean));
  return bytes <= MAX_BYTES ? clean : { omitted: `${bytes} bytes of details: too many` };
}

/** Text as it is stored: accepted by PostgreSQL, without secrets, cut to `max` characters. */
export function cleanText(text: string, max = MAX_TEXT): string {
  return sanitize(text, connectionSecrets(), max);
}

function sanitize(text: string, secrets: readonly string[], max: number): string {
  // The first cut keeps the patterns from scanning megabytes. It leaves room, because a secret that the
  // cut splits is not recognized.
  const clean = redact(text.slice(0, max * 2), secrets)
    .replace(SECRET_TEXT, SECRET)
    .toWellFormed()
    .replaceAll("\0", "\ufffd");
  return clean.length <= max ? clean : `${clean.slice(0, max).toWellFormed()}… [${text.length}]`;
}

class Cleaner {
  readonly #secrets = connectionSecrets();
  /** The objects that contain the current value. */
  readonly #ancestors: object[] = [];

  object(value: object): Details {
    if (this.#ancestors.length >= MAX_DEPTH) return { omitted: "too deep" };
    this.#ancestors.push(value);
    const entries = Object.keys(value);
    const clean = entries
      .slice(0, MAX_ENTRIES)
      .map((key) => [
        sanitize(key, this.#secrets, MAX_TEXT),
        SECRET_NAME.test(key) ? SECRET : this.#value(() => (value as Details)[key]),
      ]);
    this.#ancestors.pop();
    const rest = entries.length - MAX_ENTRIES;
    return {
      ...(Object.fromEntries(clean) as Details),
      ...(rest > 0 && { omitted: `${rest} more entries` }),
    };
  }

  /** A getter may throw. Unreadable details must not fail the action. */
  #value(get: () => unknown): unknown {
    try {
      return this.#clean(get());
    } catch (error) {
      return `[unreadable: ${sanitize(String(error), this.#secrets, 200)}]`;
    }
  }

  #clean(value: unknown): unknown {
    switch (typeof value) {
      case "string":
        return sanitize(value, this.#secrets, MAX_TEXT);
      case "number":
        return Number.isFinite(value) ? value : String(value);
      case "boolean":
        return value;
      case "bigint":
        return String(value);
      case "object":
        return value === null ? null : this.#composite(value);
      case "undefined":
      case "function":
      case "symbol":
        return null;
    }
  }

  #composite(value: object): unknown {
    if (this.#ancestors.includes(value)) return "[circular]";
    if (value instanceof Error) return sanitize(userMessage(value), this.#secrets, MAX_TEXT);
    if (value instanceof Date) return Number.isNaN(+value) ? null : value.toISOString();
    if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
    if (value instanceof Map) return this.#clean(Object.fromEntries(value));
    if (!Array.isArray(value) && !(value instanceof Set)) return this.object(value);
    if (this.#ancestors.length >= MAX_DEPTH) return "[too deep]";
    this.#ancestors.push(value);
    const items = [...(value as Iterable<unknown>)];
    const clean = items.slice(0, MAX_ENTRIES).map((item) => this.#value(() => item));
    this.#ancestors.pop();
    const rest = items.length - MAX_ENTRIES;
    return rest > 0 ? [...clean, `[${rest} more]`] : clean;
  }
}
