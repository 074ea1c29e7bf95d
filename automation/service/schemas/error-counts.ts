import { z } from "zod";
import { slugSchema } from "./project.ts";

/** The most projects in one request: those of a page of the list. */
const MAX_PROJECTS = 100;

export const errorCountsQuery = z.strictObject({
  slugs: z
    .string()
    .transform((text) => text.split(","))
    .pipe(z.array(slugSchema).min(1).max(MAX_PROJECTS))
    .meta({
      description: `The slugs of at most ${MAX_PROJECTS} projects, with commas between them.`,
      examples: ["my-app,blog"],
    }),
});

const errorCount = z.object({
  slug: z.string().meta({ examples: ["my-app"] }),
  errors: z.int().min(0).meta({ description: "The lines with the level error." }),
});

export type ErrorCount = z.output<typeof errorCount>;

export const errorCounts = z
  .object({
    items: z.array(errorCount).meta({
      description:
        "Leaves out projects without logs, and those whose errors Citadel does not count within 2 s.",
    }),
  })
  .meta({ id: "ErrorCounts" });
