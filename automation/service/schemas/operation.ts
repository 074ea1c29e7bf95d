import { z } from "zod";
import { projectChanges } from "../../../core/settings.ts";
import {
  type NumberedEvent,
  type Operation,
  OPERATION_STATES,
} from "../../operations/operation.ts";

/** As they are told: none that a later version has is a mistake. */
export const settingsSchema = z.object(projectChanges.shape).meta({
  id: "ProjectSettings",
  description: "Settings of a project. What is left out is the platform's, or the default.",
});

const changes = z
  .object({
    create: z.int(),
    update: z.int(),
    replace: z.int(),
    delete: z.int(),
    same: z.int(),
  })
  .meta({ id: "Changes", description: "How many resources it changed, or, in a preview, would." });

const operationError = z
  .object({
    code: z
      .string()
      .optional()
      .meta({ description: "Where the error is one of rdev-infra's own." }),
    urn: z.string().optional().meta({ description: "The resource that it belongs to." }),
    message: z.string(),
  })
  .meta({ id: "OperationError" });

const outcome = z
  .object({
    result: z.enum(["succeeded", "failed", "cancelled"]),
    changes,
    outputs: z.record(z.string(), z.unknown()).meta({
      description: 'The stack\'s outputs. Secrets are the text "[secret]".',
    }),
    durationMs: z.number(),
    errors: z.array(operationError).meta({ description: "Empty when it succeeded." }),
  })
  .meta({ id: "Outcome", description: "How an operation ended." });

const remaining = z
  .object({
    system: z.string().meta({ examples: ["postgres"] }),
    what: z.string().meta({ examples: ["database my_app"] }),
    why: z.enum(["retained", "unreachable", "left", "not-ours"]).meta({
      description: "Kept on purpose; its system did not answer; or it is not gone yet.",
    }),
  })
  .meta({ id: "Remaining", description: "Something that is still there after a destroy." });

export const OPERATION_KINDS = ["up", "preview", "refresh", "destroy"] as const;

const request = z
  .object({
    kind: z.enum(OPERATION_KINDS),
    settings: settingsSchema.optional(),
    onFailure: z.enum(["keep", "rollback"]).optional().meta({ description: "Of an up." }),
    of: z.enum(["up", "destroy"]).optional().meta({ description: "Of a preview." }),
    retainData: z.boolean().optional().meta({ description: "Of a destroy." }),
    retainRepository: z.boolean().optional().meta({ description: "Of a destroy." }),
  })
  .meta({ id: "OperationRequest", description: "What was asked for." });

export const operationSchema = z
  .object({
    id: z.uuid(),
    platform: z.string().meta({ examples: ["staging"] }),
    slug: z.string().meta({ description: "The project's.", examples: ["my-app"] }),
    request,
    state: z.enum(OPERATION_STATES).meta({
      id: "OperationState",
      description:
        "`queued` waits for its turn, `running` is being done, `cancelling` was asked to stop; the " +
        "others are ends.",
    }),
    actor: z.string().meta({ description: "Who asked: a key's name, or a person." }),
    createdAt: z.iso.datetime(),
    startedAt: z.iso.datetime().optional(),
    endedAt: z.iso.datetime().optional(),
    attempts: z.int().meta({ description: "How often it was begun: more than 1 after a crash." }),
    outcome: outcome.optional().meta({ description: "Left out until it has ended." }),
    remaining: z.array(remaining).meta({
      description: "After a destroy: what is left, and what was kept on purpose.",
    }),
  })
  .meta({ id: "Operation", description: "One preview, up, refresh or destroy of one project." });

export type OperationView = z.output<typeof operationSchema>;

export function operationView(operation: Operation): OperationView {
  const { createdAt, startedAt, endedAt, outcome: ended, request: asked, ...same } = operation;
  return {
    ...same,
    request: asked,
    createdAt: createdAt.toISOString(),
    ...(startedAt && { startedAt: startedAt.toISOString() }),
    ...(endedAt && { endedAt: endedAt.toISOString() }),
    ...(ended && { outcome: { ...ended, errors: [...ended.errors] } }),
    remaining: [...same.remaining],
  };
}

const event = z
  .object({
    event: z.enum([
      "state",
      "resourceStarted",
      "resourceDone",
      "resourceFailed",
      "diagnostic",
      "summary",
    ]),
    state: z.enum(OPERATION_STATES).optional(),
    attempts: z.int().optional(),
    urn: z.string().optional().meta({ description: "The resource." }),
    type: z
      .string()
      .optional()
      .meta({ examples: ["pulumi-nodejs:dynamic/gitea:Repository"] }),
    name: z.string().optional(),
    op: z
      .string()
      .optional()
      .meta({ description: "What is done to it.", examples: ["create"] }),
    component: z.boolean().optional().meta({ description: "A group of other resources." }),
    changed: z.array(z.string()).optional().meta({ description: "Properties that differ." }),
    durationMs: z.number().optional(),
    severity: z.enum(["info", "warning", "error"]).optional(),
    code: z.string().optional(),
    message: z.string().optional(),
    changes: changes.optional(),
  })
  .meta({ id: "OperationEvent", description: "What happens; `event` says which fields it has." });

export const numberedEventSchema = z
  .object({
    number: z.int().meta({ description: "From 1, without gaps." }),
    at: z.iso.datetime(),
    event,
  })
  .meta({ id: "NumberedEvent" });

export type NumberedEventView = z.output<typeof numberedEventSchema>;

export function eventView({ number, at, event: what }: NumberedEvent): NumberedEventView {
  return { number, at: at.toISOString(), event: what as NumberedEventView["event"] };
}
