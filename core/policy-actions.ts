import { z } from "zod";

/** What an admission policy does, in the API server's words: refuse, warn the caller, audit. */
export const policyActions = z
  .array(z.enum(["Deny", "Warn", "Audit"]))
  .min(1, "names no action")
  .refine(
    (actions) => !(actions.includes("Deny") && actions.includes("Warn")),
    "may hold Deny or Warn, but not both",
  )
  .refine((actions) => new Set(actions).size === actions.length, "names an action twice");
