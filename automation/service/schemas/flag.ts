import { z } from "zod";

/** `true` or `false` in a query, or left out. */
export function flag(description: string) {
  return z
    .preprocess((text) => (text === "true" ? true : text === "false" ? false : text), z.boolean())
    .optional()
    .meta({ description });
}
