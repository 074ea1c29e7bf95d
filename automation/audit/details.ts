import { connectionSecrets } from "../../core/connections.ts";
import { redact, userMessage } from "../../core/errors.ts";

export type Details = Record<string, unknown>;

const SECRET = "[secret]";
const SECRET_NAME =
  /pass(word|wd|phrase)|secret|token|api[-_]?key|private[-_]?key|authori[sz]ation|cookie|credential/i;
/** Keys of Citadel and of the API, what follows Bearer or Basic, and the password of a URL. */
const SECRET_TEXT =
  /\b(?:ck_|rdk_[0-9a-f]{16}_)[\w-]{4,}|(?<=\b(?:bearer|basic)\s+)\S{4,}|(?<=:\/\/[^\s/:@]*:)[^\s/@]+(?=@)/gi;

const MAX_TEXT = 4_000;
const MAX_ENTRIES = 100;
const MAX_DEPTH = 6;
const MAX_BYTES = 64 * 1024;

/** Details as they are kept: JSON that PostgreSQL takes, without secrets, not larger than 64 KiB. */
export function cleanDetails(details: object): Details {
  const clean = new Cleaner().object(details);
  const bytes = Buffer.byteLength(JSON.stringify(clean));
  return bytes <= MAX_BYTES ? clean : { omitted: `${bytes} bytes of details: too many` };
}

/** A text as it is kept: one that PostgreSQL takes, without secrets, not longer than `max`. */
export function cleanText(text: string, max = MAX_TEXT): string {
  return short(text, connectionSecrets(), max);
}

function short(text: string, secrets: readonly string[], max: number): string {
  // Cut first: no pattern runs over a megabyte. A secret may straddle the cut, so cut with room.
  const clean = redact(text.slice(0, max * 2), secrets)
    .replace(SECRET_TEXT, SECRET)
    .toWellFormed()
    .replaceAll("\0", "\ufffd");
  return clean.length <= max ? clean : `${clean.slice(0, max).toWellFormed()}… [${text.length}]`;
}

class Cleaner {
  readonly #secrets = connectionSecrets();
  readonly #above: object[] = [];

  object(value: object): Details {
    if (this.#above.length >= MAX_DEPTH) return { omitted: "too deep" };
    this.#above.push(value);
    const entries = Object.keys(value);
    const clean = entries
      .slice(0, MAX_ENTRIES)
      .map((key) => [
        short(key, this.#secrets, MAX_TEXT),
        SECRET_NAME.test(key) ? SECRET : this.#value(() => (value as Details)[key]),
      ]);
    this.#above.pop();
    const rest = entries.length - MAX_ENTRIES;
    return {
      ...(Object.fromEntries(clean) as Details),
      ...(rest > 0 && { omitted: `${rest} more entries` }),
    };
  }

  /** A getter may throw: the action must not fail for what its details are. */
  #value(get: () => unknown): unknown {
    try {
      return this.#clean(get());
    } catch (error) {
      return `[unreadable: ${short(String(error), this.#secrets, 200)}]`;
    }
  }

  #clean(value: unknown): unknown {
    switch (typeof value) {
      case "string":
        return short(value, this.#secrets, MAX_TEXT);
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
    if (this.#above.includes(value)) return "[circular]";
    if (value instanceof Error) return short(userMessage(value), this.#secrets, MAX_TEXT);
    if (value instanceof Date) return Number.isNaN(+value) ? null : value.toISOString();
    if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
    if (value instanceof Map) return this.#clean(Object.fromEntries(value));
    if (!Array.isArray(value) && !(value instanceof Set)) return this.object(value);
    if (this.#above.length >= MAX_DEPTH) return "[too deep]";
    this.#above.push(value);
    const items = [...(value as Iterable<unknown>)];
    const clean = items.slice(0, MAX_ENTRIES).map((item) => this.#value(() => item));
    this.#above.pop();
    const rest = items.length - MAX_ENTRIES;
    return rest > 0 ? [...clean, `[${rest} more]`] : clean;
  }
}
