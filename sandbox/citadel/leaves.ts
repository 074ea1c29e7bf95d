import { createHash } from "node:crypto";

/** What CPL compares: a number, or a text that is none. */
export type Leaf = number | string;

const MAX_TEXT = 512; // characters of a value that the index holds as they are
/** Objects and lists in one another. */
const MAX_DEPTH = 32;

/** A value that cannot be taken, and where. */
export class BadValue extends Error {}

/**
 * `a.b` for what is in objects; lists are one value, their JSON. The shorter way to a name wins.
 * @throws BadValue for what is nested too deep and for text with half a character. */
export function leavesOf(fields: Record<string, unknown>): Map<string, Leaf> {
  const leaves = new Map<string, Leaf>();
  let level: [string, unknown][] = Object.entries(fields);
  // Breadth first: nothing here calls itself, however deep the fields are.
  for (let depth = 1; level.length > 0; depth += 1) {
    const next: [string, unknown][] = [];
    for (const [name, value] of level) {
      if (!name.isWellFormed()) throw new BadValue("a field's name is no valid Unicode");
      if (typeof value === "object" && value !== null && !Array.isArray(value)) {
        for (const [key, inner] of Object.entries(value)) next.push([`${name}.${key}`, inner]);
      } else if (!leaves.has(name)) {
        leaves.set(name, leafOf(Array.isArray(value) ? listText(name, value) : value, name));
      }
    }
    if (depth >= MAX_DEPTH && next.length > 0) throw tooDeep(next[0]?.[0] ?? "");
    level = next;
  }
  return leaves;
}

/** A number where the value is one, or is exactly the text of one: `"42"` and 42 are equal. */
export function leafOf(value: unknown, name: string): Leaf {
  // JSON's 1e999 is no number here either.
  if (typeof value === "number" && Number.isFinite(value)) return value + 0;
  const text = String(value);
  if (!text.isWellFormed()) throw new BadValue(`${name} is no valid Unicode`);
  const number = Number(text);
  if (Number.isFinite(number) && String(number) === text) return number;
  return text.length > MAX_TEXT
    ? `sha256:${createHash("sha256").update(text).digest("hex")}`
    : text;
}

function listText(name: string, list: readonly unknown[]): string {
  let level: unknown[] = [list];
  for (let depth = 0; level.length > 0; depth += 1) {
    if (depth > MAX_DEPTH) throw tooDeep(name);
    if (level.some((value) => typeof value === "string" && !value.isWellFormed())) {
      throw new BadValue(`${name} is no valid Unicode`);
    }
    level = level.flatMap(inside);
  }
  return JSON.stringify(list);
}

/** With the names of what is in objects, which are text like any other. */
function inside(value: unknown): unknown[] {
  if (typeof value !== "object" || value === null) return [];
  return Array.isArray(value) ? (value as unknown[]) : Object.entries(value).flat();
}

function tooDeep(name: string): BadValue {
  return new BadValue(`${name.slice(0, 80)} is nested more than ${MAX_DEPTH} deep`);
}
