import { createHash } from "node:crypto";
import type { AuditRow } from "../store/schema.ts";

/** What the first row has in place of a hash before it. */
export const FIRST_HASH = "0".repeat(64);

export type UnhashedRow = Omit<AuditRow, "hash">;

/** SHA-256, in hex, over a row with the hash of the one before. */
export function rowHash(row: UnhashedRow): string {
  const { id, at, action, project_id, actor, result, duration_ms, component, details } = row;
  const { prev_hash } = row;
  const text = canonicalJson({
    ...{ id, at: at.toISOString(), action, project_id, actor, result, duration_ms, component },
    ...{ details, prev_hash },
  });
  return createHash("sha256").update(text).digest("hex");
}

/** JSON with its keys sorted: the same text for what PostgreSQL's jsonb gives back. */
function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) =>
    part !== null && typeof part === "object" && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}
