import { z } from "zod";
import { projectChanges } from "../../core/settings.ts";

/** One operation, as a worker is to do it. */
export const job = z.strictObject({
  platform: z.string(),
  slug: z.string(),
  /** What the request names; the project's other settings stay as its stack records them. */
  settings: projectChanges,
  /** The project's settings, where its stack has no record of them yet. */
  formerly: projectChanges,
  task: z.discriminatedUnion("kind", [
    z.strictObject({
      kind: z.literal("up"),
      /** A failure is to be rolled back, so nothing of the project may be there before. */
      needsEmpty: z.boolean(),
    }),
    /** Deletes again what an `up` made that began with nothing. */
    z.strictObject({ kind: z.literal("rollback") }),
    z.strictObject({
      kind: z.literal("preview"),
      of: z.enum(["up", "destroy"]),
      /** There is no such project: nothing of the preview stays. */
      ofNothing: z.boolean(),
    }),
    z.strictObject({ kind: z.literal("refresh") }),
    z.strictObject({ kind: z.literal("destroy") }),
  ]),
});

export type Job = z.output<typeof job>;
