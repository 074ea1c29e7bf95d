import { z } from "zod";

/** An optional `true` or `false` in a query. */
export function flag(description: string) {
  return z
    .preprocess((text) => (text === "true" ? true : text === "false" ? false : text), z.boolean())
    .optional()
    .meta({ description });
}
