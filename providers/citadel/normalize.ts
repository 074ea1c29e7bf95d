import { z } from "zod";
import { LEVELS } from "./port.ts";

/** In bytes of UTF-8. Longer ones are cut, with a marker. */
const MAX_MESSAGE = 256 * 1024;
const MAX_NAME = 1024;
/** Of all fields of an event together; what comes after is left out, with a marker. */
const MAX_FIELDS = 256 * 1024;
const MAX_DEPTH = 12;

const EARLIEST = Date.UTC(1970, 0, 1);
const LATEST = Date.UTC(9999, 11, 31, 23, 59, 59, 999);
const rfc3339 = z.iso.datetime({ offset: true });

/** An event as it is sent, or why it cannot be. */
export type Normalized = { readonly json: string } | { readonly refused: string };

/**
 * Makes of anything that calls itself an event one that Citadel takes, as JSON: valid UTF-8, UTC with
 * milliseconds, no cycle, no more than about half a MiB. Only what cannot be mended without guessing
 * is refused: no message, level, service, or time between 1970 and 9999. Never throws.
 */
export function normalizeEvent(given: unknown): Normalized {
  try {
    if (!isRecord(given)) return { refused: `is no event but ${kindOf(given)}` };
    const wrong: string[] = [];
    const time = timeOf(given["timestamp"]);
    if (time === undefined) wrong.push(`timestamp: ${quoted(given["timestamp"])} is no time`);
    const level = LEVELS.find((each) => each === given["level"]);
    if (!level) wrong.push(`level: ${quoted(given["level"])} is none of ${LEVELS.join(", ")}`);
    const message = textOf(given["message"], MAX_MESSAGE);
    if (message === undefined) wrong.push(`message: ${kindOf(given["message"])} is no text`);
    const service = textOf(given["service"], MAX_NAME);
    if (!service) wrong.push(`service: ${quoted(given["service"])} is no name`);
    if (wrong.length > 0) return { refused: wrong.join("; ") };
    const event = {
      message,
      level,
      timestamp: time,
      service,
      environment: textOf(given["environment"], MAX_NAME) ?? "",
      target: textOf(given["target"], MAX_NAME) ?? "",
      fields: fieldsOf(given["fields"]),
    };
    return { json: JSON.stringify(event) };
  } catch (error) {
    // A getter or a proxy of the caller's.
    return { refused: `cannot be read: ${error instanceof Error ? error.message : "it throws"}` };
  }
}

/** Well-formed, and cut to so many bytes of UTF-8; undefined for what is no text. */
function textOf(value: unknown, maxBytes: number): string | undefined {
  if (value instanceof Uint8Array) return cut(new TextDecoder().decode(value), maxBytes);
  return typeof value === "string" ? cut(value.toWellFormed(), maxBytes) : undefined;
}

function cut(text: string, maxBytes: number): string {
  // A character has at most three bytes for each of its UTF-16 units.
  if (text.length * 3 <= maxBytes) return text;
  const bytes = Buffer.byteLength(text);
  if (bytes <= maxBytes) return text;
  const marker = `… [cut: ${bytes} bytes]`;
  const start = Buffer.from(text).subarray(0, Math.max(0, maxBytes - Buffer.byteLength(marker)));
  // In the middle of a character the stream holds its first bytes back.
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
  /** Bytes. */
  left: number;
  readonly above: readonly object[];
}

/** A copy of plain JSON. Takes what it holds from `walk.left`, and stops when that is used up. */
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
  if (value instanceof Date) {
    return Number.isNaN(value.getTime()) ? "Invalid Date" : value.toISOString();
  }
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
  // Defines each as its own property, __proto__ as well.
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

/** For a message: short, and never failing. */
function quoted(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.slice(0, 80).toWellFormed());
  if (value instanceof Date)
    return Number.isNaN(value.getTime()) ? "Invalid Date" : value.toISOString();
  return kindOf(value);
}
