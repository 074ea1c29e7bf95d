import { z } from "zod";
import { finalRolloutState } from "./rollout.ts";

// The events that receivers are told of: docs/fleet.md#notifications. Receivers parse these shapes, so
// a released field stays. No event holds a secret.

const slug = z.string().meta({ description: "The project's slug." });
const message = z.string().meta({ description: "The error's text, for people." });
const failure = z.object({ slug, message });

const operationFailed = z.object({
  kind: z.literal("operation.failed"),
  slug,
  operation: z.uuid(),
  what: z.enum(["up", "refresh", "destroy"]),
  actor: z.string().meta({ description: "The caller who asked for the operation." }),
  errors: z.array(z.object({ code: z.string().optional(), message })),
});

const rolloutWaiting = z.object({
  kind: z.literal("rollout.waiting"),
  rollout: z.uuid(),
  reason: z.string().meta({ description: "For example: its plan needs an approval." }),
});

const rolloutEnded = z.object({
  kind: z.literal("rollout.ended"),
  rollout: z.uuid(),
  result: finalRolloutState.meta({
    description:
      "`incomplete`: projects failed or were held back. `stopped`: too many failures, so the remaining " +
      "projects were left alone.",
  }),
  reason: z.string().optional().meta({ description: "Why it ended, unless all went well." }),
  succeeded: z.int().meta({ description: "How many projects the rollout updated." }),
  failed: z.array(failure),
  held: z
    .array(failure)
    .meta({ description: "Projects whose plan was no longer the approved one." }),
});

const driftFound = z.object({
  kind: z.literal("drift.found"),
  checked: z.int().meta({ description: "How many projects were looked at." }),
  differing: z.array(
    z.object({
      slug,
      since: z.iso.datetime().meta({ description: "When the difference was first seen." }),
      resources: z.int().meta({ description: "How many resources differ." }),
    }),
  ),
  failed: z.array(failure).meta({ description: "Projects that could not be looked at." }),
});

const projectEnding = z.object({
  kind: z.literal("project.ending"),
  slug,
  step: z.enum(["notice", "stopped", "deleting"]).meta({
    description:
      "`notice`: its time to live ends soon. `stopped`: it has ended, and the grace runs. `deleting`: " +
      "the grace is over.",
  }),
  at: z.iso.datetime().meta({ description: "When the next step happens, or this one happened." }),
});

/** An event that receivers are told of. */
export const notification = z.discriminatedUnion("kind", [
  operationFailed,
  rolloutWaiting,
  rolloutEnded,
  driftFound,
  projectEnding,
]);

export type Notification = z.output<typeof notification>;
export type NotificationKind = Notification["kind"];

export const NOTIFICATION_KINDS = notification.options.map(
  ({ shape }) => shape.kind.value,
) satisfies NotificationKind[];

/**
 * The thing that the event is about: a receiver gets the events of one subject in their order. It is
 * the `subject` of the CloudEvent.
 */
export function subjectOf(event: Notification): string {
  switch (event.kind) {
    case "operation.failed":
    case "project.ending":
      return `projects/${event.slug}`;
    case "rollout.waiting":
    case "rollout.ended":
      return `rollouts/${event.rollout}`;
    case "drift.found":
      return "drift";
  }
}
