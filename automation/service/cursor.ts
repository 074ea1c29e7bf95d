import { slugProblems } from "../../core/slug.ts";

/** What is listed in pages, by what its items are told apart by. */
export type Listed = "project" | "operation" | "audit";

const VALID: Readonly<Record<Listed, (last: string) => boolean>> = {
  project: (slug) => slugProblems(slug).length === 0,
  operation: (id) => /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(id),
  audit: (id) => /^[1-9]\d{0,14}$/.test(id),
};

/** Where a list goes on. Opaque, so that its order may change without breaking a client. */
export function encodeCursor(of: Listed, last: string): string {
  return Buffer.from(`${of}:${last}`).toString("base64url");
}

/** Undefined for what is no cursor of this list. */
export function decodeCursor(of: Listed, cursor: string): string | undefined {
  const text = Buffer.from(cursor, "base64url").toString();
  const last = text.slice(of.length + 1);
  return cursor === encodeCursor(of, last) && VALID[of](last) ? last : undefined;
}
