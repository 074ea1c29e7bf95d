import { z } from "zod";
import { projectChanges } from "../../core/settings.ts";

/** One operation for a worker to run. */
export const job = z.strictObject({
  platform: z.string(),
  slug: z.string(),
  /** The settings in the request. The project's other settings stay as its stack records them. */
  settings: projectChanges,
  /** The project's settings in the database, used if its stack has no record of them yet. */
  formerly: projectChanges,
  task: z.discriminatedUnion("kind", [
    z.strictObject({
      kind: z.literal("up"),
      /** The `up` is rolled back if it fails, so it refuses to start if the project already exists. */
      needsEmpty: z.boolean(),
    }),
    /** Deletes what a failed `up` made. */
    z.strictObject({ kind: z.literal("rollback") }),
    z.strictObject({
      kind: z.literal("preview"),
      of: z.enum(["up", "destroy"]),
      /** There is no such project, so the preview also removes the stack's record that it makes. */
      ofNothing: z.boolean(),
    }),
    z.strictObject({ kind: z.literal("refresh") }),
    z.strictObject({ kind: z.literal("destroy") }),
  ]),
});

export type Job = z.output<typeof job>;
