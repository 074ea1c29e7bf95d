import { z } from "zod";
import { secureUrl } from "../setting-values.ts";

/** The settings of previews that the service runs itself: docs/fleet.md#previews-by-the-service. */
export const previewSettings = z.strictObject({
  forge: z.enum(["gitea", "github"]),
  /** The address of the forge, without a trailing slash. */
  url: secureUrl.transform((text) => text.replace(/\/+$/, "")),
  /** The repository of this program: `owner/name`. No other one is previewed. */
  repository: z.string().regex(/^[^/\s]+\/[^/\s]+$/, "is not of the form owner/name"),
  /** Whether each merge asks for a rollout, as the comment `/rollout` does. */
  rolloutOnMerge: z.boolean().default(false),
});

export type PreviewSettings = z.output<typeof previewSettings>;
