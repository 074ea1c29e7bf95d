import { randomBytes } from "node:crypto";

/** A slug that no other test or earlier run uses. */
export function uniqueSlug(): string {
  return `t-${randomBytes(6).toString("hex")}`;
}
