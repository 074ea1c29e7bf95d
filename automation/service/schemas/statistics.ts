import { z } from "zod";

const seconds = z.number().nullable();

export const statisticsSchema = z
  .object({
    periodMs: z.int().meta({ description: "The length of each period." }),
    periods: z.array(
      z.object({
        at: z.iso.datetime().meta({ description: "The beginning of the period." }),
        succeeded: z.int().meta({ description: "Operations that ended in the period." }),
        failed: z.int(),
        cancelled: z.int(),
        medianSeconds: seconds.meta({
          description: "How long half of these operations ran at most; null if none did.",
        }),
        p95Seconds: seconds.meta({ description: "The same for 95 % of them." }),
        projects: z.int().meta({ description: "The projects at the end of the period." }),
      }),
    ),
  })
  .meta({ id: "Statistics", description: "Operations and projects over time, oldest first." });

export type Statistics = z.output<typeof statisticsSchema>;
