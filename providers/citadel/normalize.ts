import { z } from "zod";
import { LEVELS } from "./port.ts";

/** In bytes of UTF-8. A longer text is cut, and ends with a marker. */
const MAX_MESSAGE = 256 * 1024;
const MAX_NAME = 1024;
/** In bytes, for all fields of an event together. The rest is left out, with a marker. */
const MAX_FIELDS = 256 * 1024;
const MAX_DEPTH = 12;

const EARLIEST = Date.UTC(1970, 0, 1);
const LATEST = Date.UTC(9999, 11, 31, 23, 59, 59, 999);
const rfc3339 = z.iso.datetime({ offset: true });

/** An event as JSON, or the reason why it cannot be sent. */
type Normalized = { readonly json: string } | { readonly refused: string };

/**
 * Turns a value into an event that Citadel accepts, as JSON: valid UTF-8, UTC with milliseconds, no
 * cycle, at most about half a MiB. Refuses only what cannot be repaired without guessing: a missing
 * message, level or service, or a time outside 1970 to 9999. Never throws.
 */
export function normalizeEvent(value: unknown): Normalized {
  try {
    if (!isRecord(value)) return { refused: `is not an event but ${kindOf(value)}` };
    const wrong: string[] = [];
    const time = timeOf(value["timestamp"]);
    if (time === undefined) wrong.push(`timestamp: ${quoted(value["timestamp"])} is not a time`);
    const level = LEVELS.find((each) => each === value["level"]);
    if (!level) wrong.push(`level: ${quoted(value["level"])} is not one of ${LEVELS.join(", ")}`);
    const message = textOf(value["message"], MAX_MESSAGE);
    if (message === undefined) wrong.push(`message: ${kindOf(value["message"])} is not a text`);
    const service = textOf(value["service"], MAX_NAME);
    if (!service) wrong.push(`service: ${quoted(value["service"])} is not a name`);
    if (wrong.length > 0) return { refused: wrong.join("; ") };
    const event = {
      message,
      level,
      timestamp: time,
      service,
      environment: textOf(value["environment"], MAX_NAME) ?? "",
      target: textOf(value["target"], MAX_NAME) ?? "",
      fields: fieldsOf(value["fields"]),
    };
    return { json: JSON.stringify(event) };
  } catch (error) {
    // A getter or a proxy of the caller threw.
    return { refused: `cannot be read: ${error instanceof Error ? error.message : "it throws"}` };
  }
}

/** The well-formed text, cut to `maxBytes` of UTF-8, or undefined if the value is not a text. */
function textOf(value: unknown, maxBytes: number): string | undefined {
  if (value instanceof Uint8Array) return cut(new TextDecoder().decode(value), maxBytes);
  return typeof value === "string" ? cut(value.toWellFormed(), maxBytes) : undefined;
}

function cut(text: string, maxBytes: number): string {
  // A UTF-16 unit needs at most three bytes.
  if (text.length * 3 <= maxBytes) return text;
  const bytes = Buffer.byteLength(text);
  if (bytes <= maxBytes) return text;
  const marker = `… [cut: ${bytes} bytes]`;
  const start = Buffer.from(text).subarray(0, Math.max(0, maxBytes - Buffer.byteLength(marker)));
  // In stream mode the decoder holds back the first bytes of a character that was cut.
  return new TextDecoder().decode(start, { stream: true }) + marker;
}

function timeOf(value: unknown): string | undefined {
  const text = value instanceof Date ? value : rfc3339.safeParse(value).data;
  const ms = new Date(text ?? Number.NaN).getTime();
  return ms >= EARLIEST && ms <= LATEST ? new Date(ms).toISOString() : undefined;
}

function fieldsOf(value: unknown): Record<string, unknown> {
  if (value === null || value === undefined) return {};
  const plain = plainOf(value, { left: MAX_FIELDS, above: [] });
  return isRecord(plain) ? plain : { value: plain };
}

interface Walk {
  /** The bytes that may still be copied. */
  left: number;
  /** The objects that contain the current one, to find cycles. */
  readonly above: readonly object[];
}

/** A copy in plain JSON. Subtracts its size from `walk.left`, and stops when that is used up. */
function plainOf(value: unknown, walk: Walk): unknown {
  switch (typeof value) {
    case "string": {
      const text = cut(value.toWellFormed(), Math.max(64, walk.left));
      walk.left -= Buffer.byteLength(JSON.stringify(text));
      return text;
    }
    case "object":
      return value === null ? null : plainObject(value, walk);
    case "number":
      walk.left -= 24;
      // JSON has no NaN and no Infinity.
      return Number.isFinite(value) ? value : String(value);
    case "bigint":
      return plainOf(value.toString(), walk);
    case "boolean":
      walk.left -= 5;
      return value;
    case "undefined":
    case "function":
    case "symbol":
      return undefined;
  }
}

function plainObject(value: object, walk: Walk): unknown {
  if (walk.above.includes(value)) return "[circular]";
  if (walk.above.length >= MAX_DEPTH) return "[too deep]";
  if (value instanceof Date) return dateText(value);
  if (value instanceof Uint8Array) return plainOf(new TextDecoder().decode(value), walk);
  if (value instanceof Error) {
    return plainObject({ ...value, name: value.name, message: value.message }, walk);
  }
  const below: Walk = { left: walk.left - 2, above: [...walk.above, value] };
  const copy =
    Array.isArray(value) || value instanceof Set ? listOf(value, below) : mapOf(value, below);
  walk.left = below.left;
  return copy;
}

function listOf(values: Iterable<unknown>, walk: Walk): unknown[] {
  const list: unknown[] = [];
  for (const value of values) {
    if (walk.left <= 0) {
      list.push("[cut]");
      break;
    }
    walk.left -= 1;
    list.push(plainOf(value, walk) ?? null);
  }
  return list;
}

function mapOf(value: object, walk: Walk): Record<string, unknown> {
  const entries: [string, unknown][] = [];
  for (const name of value instanceof Map ? value.keys() : Object.keys(value)) {
    if (walk.left <= 0) {
      entries.push(["[cut]", true]);
      break;
    }
    const key = cut(String(name).toWellFormed(), MAX_NAME);
    walk.left -= Buffer.byteLength(JSON.stringify(key)) + 2;
    const plain = plainOf(propertyOf(value, name), walk);
    if (plain !== undefined) entries.push([key, plain]);
  }
  // Unlike an assignment, this keeps a key such as __proto__ as an ordinary property.
  return Object.fromEntries(entries);
}

function propertyOf(value: object, name: unknown): unknown {
  try {
    return value instanceof Map
      ? value.get(name)
      : (value as Record<string, unknown>)[name as string];
  } catch {
    return "[unreadable]";
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function kindOf(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  return Array.isArray(value) ? "a list" : `a ${typeof value}`;
}

/** A short form for messages. Never throws. */
function quoted(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.slice(0, 80).toWellFormed());
  if (value instanceof Date) return dateText(value);
  return kindOf(value);
}

function dateText(date: Date): string {
  return Number.isNaN(date.getTime()) ? "Invalid Date" : date.toISOString();
}
