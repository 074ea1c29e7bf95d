import { z } from "zod";
import { sizes } from "../../../core/sizes.ts";

/** The sizes of new projects, from the platform's settings. */
export const sizeLimits = z
  .object({
    defaults: sizes.meta({ description: "The sizes of a project whose settings name none." }),
    ceilings: sizes.meta({ description: "The highest sizes that a project may have." }),
  })
  .meta({ id: "SizeLimits" });

export type SizeLimits = z.output<typeof sizeLimits>;
