import { z } from "zod";
import {
  numberedRolloutEvent,
  type NumberedRolloutEvent,
  rollout,
  type Rollout,
} from "../../../core/rollout.ts";

const at = z.iso.datetime();

export const rolloutSchema = rollout
  .extend({
    createdAt: at,
    endedAt: at.optional(),
    approval: rollout.shape.approval.unwrap().extend({ at }).optional(),
  })
  .meta({ id: "Rollout", description: "A change of many projects in waves." });

export type RolloutView = z.output<typeof rolloutSchema>;

export function rolloutView({ createdAt, endedAt, approval, ...same }: Rollout): RolloutView {
  return {
    ...same,
    createdAt: createdAt.toISOString(),
    ...(endedAt && { endedAt: endedAt.toISOString() }),
    ...(approval && { approval: { ...approval, at: approval.at.toISOString() } }),
  };
}

export const rolloutEventSchema = numberedRolloutEvent
  .extend({ at })
  .meta({ id: "NumberedRolloutEvent" });

export type RolloutEventView = z.output<typeof rolloutEventSchema>;

export function rolloutEventView({ at: time, ...same }: NumberedRolloutEvent): RolloutEventView {
  return { ...same, at: time.toISOString() };
}
