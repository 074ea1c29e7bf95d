import { z } from "zod";
import {
  numberedEvent,
  operation,
  outcome,
  type NumberedEvent,
  type Operation,
} from "../../../core/operation.ts";

export const operationSchema = operation
  .extend({
    createdAt: z.iso.datetime(),
    startedAt: z.iso.datetime().optional(),
    endedAt: z.iso.datetime().optional(),
    outcome: outcome
      .omit({ settings: true, template: true })
      .meta({ id: "Outcome", description: "How an operation ended." })
      .optional()
      .meta({ description: "Absent until the operation has ended." }),
  })
  .meta({ id: "Operation", description: "One preview, up, refresh or destroy of one project." });

export type OperationView = z.output<typeof operationSchema>;

export function operationView(from: Operation): OperationView {
  const { createdAt, startedAt, endedAt, outcome: ended, ...same } = from;
  return {
    ...same,
    createdAt: createdAt.toISOString(),
    ...(startedAt && { startedAt: startedAt.toISOString() }),
    ...(endedAt && { endedAt: endedAt.toISOString() }),
    ...(ended && { outcome: ended }),
  };
}

/** An operation in a list, which has many of them. */
export function listedOperationView({ outcome: ended, ...same }: Operation): OperationView {
  return operationView({
    ...same,
    outcome: ended && { ...ended, timings: undefined, plan: undefined },
  });
}

export const numberedEventSchema = numberedEvent
  .extend({ at: z.iso.datetime() })
  .meta({ id: "NumberedEvent" });

export type NumberedEventView = z.output<typeof numberedEventSchema>;

export function eventView({ at, ...same }: NumberedEvent): NumberedEventView {
  return { ...same, at: at.toISOString() };
}
