import { z } from "zod";
import type { Entry } from "../port.ts";

/** An entry, as `query` and `tail` answer it. */
export const entry = z
  .object({
    id: z.union([z.string(), z.number().transform(String)]),
    timestamp: z.iso.datetime({ offset: true }),
    level: z.string(),
    service: z.string(),
    message: z.string(),
    trace_id: z.string().nullish(),
    metadata: z.record(z.string(), z.unknown()).nullish(),
  })
  .transform(({ trace_id, metadata, ...rest }): Entry => ({
    ...rest,
    traceId: trace_id ?? undefined,
    metadata: metadata ?? {},
  }));
