import { z } from "zod";
import { decodeCursor, type Listed } from "../cursor.ts";

/** The query of a list: how much, and from where. */
export function pageQuery(of: Listed) {
  return {
    limit: z.coerce.number().int().min(1).max(200).default(50).meta({
      description: "How many at most.",
    }),
    cursor: z
      .string()
      .max(200)
      .transform((text, context) => {
        const after = decodeCursor(of, text);
        if (after !== undefined) return after;
        context.addIssue({ code: "custom", message: "is no cursor that this list gave" });
        return z.NEVER;
      })
      .optional()
      .meta({ description: "The `next` of the page before." }),
  };
}

/** A page of a list. `next` is left out on the last one. */
export function pageOf<T extends z.ZodType>(item: T) {
  return z.object({
    items: z.array(item),
    next: z.string().optional().meta({
      description: "The cursor of the next page; left out on the last.",
    }),
  });
}
