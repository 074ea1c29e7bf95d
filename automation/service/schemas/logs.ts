import { z } from "zod";
import { spanMs } from "../../../core/units.ts";
import { LEVELS, type Entry } from "../../../providers/citadel/port.ts";
import type { Histogram } from "../../logs/histogram.ts";
import { MAX_DAYS, type TimeSpan } from "../../logs/time-span.ts";

/** Lines may have a timestamp that is a little in the future, because clocks differ. */
const CLOCKS_MS = 60_000;
const DAY_MS = 86_400_000;

export const logQuery = z
  .string()
  .min(1)
  .max(2_000)
  .default("*")
  .meta({
    description: "A query in Citadel's language CPL. `*` finds every line.",
    examples: ["level:error component:http"],
  });

export const timeQuery = {
  range: z
    .string()
    .refine((text) => spanMs(text) !== undefined, "Expected a time such as 30m, 1h or 7d")
    .refine((text) => (spanMs(text) ?? 0) <= MAX_DAYS * DAY_MS, `Expected at most ${MAX_DAYS}d`)
    .default("1h")
    .meta({
      description: `How far back, such as \`30m\`, \`1h\` or \`7d\`; at most \`${MAX_DAYS}d\`.`,
      examples: ["1h"],
    }),
  from: z.iso.datetime().optional().meta({
    description: "Only lines of this time or later. Takes precedence over `range`.",
  }),
  before: z.iso.datetime().optional().meta({
    description: "Only lines before this time. Default: now.",
  }),
};

interface TimeQuery {
  readonly range: string;
  readonly from?: string | undefined;
  readonly before?: string | undefined;
}

export function isInOrder({ from, before }: Pick<TimeQuery, "from" | "before">): boolean {
  return from === undefined || before === undefined || Date.parse(from) < Date.parse(before);
}

export function isNotTooEarly({ from }: Pick<TimeQuery, "from">): boolean {
  return from === undefined || Date.parse(from) >= Date.now() - MAX_DAYS * DAY_MS;
}

export const NOT_TOO_EARLY = { path: ["from"], message: `Must be at most ${MAX_DAYS} days ago` };

export const IN_ORDER = { path: ["before"], message: "Must be later than `from`" };

export function spanOf({ range, from, before }: TimeQuery): TimeSpan {
  const now = Date.now();
  const end = before === undefined ? now : Date.parse(before);
  return {
    from: new Date(from === undefined ? end - (spanMs(range) ?? 0) : Date.parse(from)),
    before: new Date(before === undefined ? now + CLOCKS_MS : end),
  };
}

export const logLineSchema = z
  .object({
    id: z.string(),
    timestamp: z.iso.datetime({ offset: true }),
    level: z.string().meta({ description: `One of ${LEVELS.join(", ")}.`, examples: ["error"] }),
    service: z.string(),
    message: z.string(),
    traceId: z.string().optional(),
    fields: z.record(z.string(), z.unknown()).meta({ description: "The line's fields." }),
  })
  .meta({ id: "LogLine" });

export type LogLine = z.output<typeof logLineSchema>;

export function logLineView({ metadata, traceId, ...line }: Entry): LogLine {
  return { ...line, fields: metadata, ...(traceId !== undefined && { traceId }) };
}

const count = z.int();

export const histogramSchema = z
  .object({
    from: z.iso.datetime(),
    before: z.iso.datetime(),
    bucketMs: z.int().meta({ description: "The length of each bucket." }),
    buckets: z.array(
      z.object({
        at: z.iso.datetime().meta({ description: "The beginning of the bucket." }),
        error: count,
        warn: count,
        info: count,
        debug: count,
        trace: count,
      }),
    ),
  })
  .meta({ id: "LogHistogram", description: "The number of lines by time and level." });

export type LogHistogram = z.output<typeof histogramSchema>;

export function histogramView({ from, before, bucketMs, buckets }: Histogram): LogHistogram {
  return {
    from: from.toISOString(),
    before: before.toISOString(),
    bucketMs,
    buckets: buckets.map(({ at, ...counts }) => ({ at: at.toISOString(), ...counts })),
  };
}
