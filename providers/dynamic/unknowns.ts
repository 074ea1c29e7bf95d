import { runtime } from "@pulumi/pulumi";

/** What the engine sends, in a preview, for a value that is not known yet. */
export const UNKNOWN: string = runtime.unknownValue;

/** Whether a value is unknown, or holds one that is. */
export function hasUnknown(value: unknown): boolean {
  if (value === UNKNOWN) return true;
  if (typeof value !== "object" || value === null) return false;
  return Object.values(value).some(hasUnknown);
}
