import { randomBytes } from "node:crypto";

/** A slug that no other test uses, and none that ran before. */
export function uniqueSlug(): string {
  return `t-${randomBytes(6).toString("hex")}`;
}
