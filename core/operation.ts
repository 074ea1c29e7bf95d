import { z } from "zod";
import { FIX_POLICIES } from "./drift.ts";
import type { InfraError } from "./errors.ts";
import { stackPlan } from "./previews/model.ts";
import { projectChanges } from "./settings.ts";
import { templateSeed } from "./template-update.ts";

// The one vocabulary of operations. The engine, the worker's messages, the database's rows and the
// API use these shapes. They ignore properties that they do not know: a command must be able to read
// the answers of a newer service. The worker's messages add `.strict()`.

export const OPERATION_KINDS = ["up", "preview", "refresh", "destroy"] as const;
export type OperationKind = (typeof OPERATION_KINDS)[number];

/** `queued`, `running` and `cancelling` are open; the others are final. */
export const OPERATION_STATES = [
  "queued",
  "running",
  "cancelling",
  "succeeded",
  "failed",
  "cancelled",
] as const;
export type OperationState = (typeof OPERATION_STATES)[number];

export const operationState = z.enum(OPERATION_STATES).meta({
  id: "OperationState",
  description:
    "`queued` waits for its turn, `running` has a worker, `cancelling` was asked to stop. The others " +
    "are final.",
});

export const settingsSchema = z.object(projectChanges.shape).meta({
  id: "ProjectSettings",
  description:
    "Settings of a project. A setting that is left out has the platform's value, or its default.",
});

const adopt = z.literal(true).optional().meta({
  description: "Adopt what exists under the project's name; a preview only shows it.",
});

/** The plan that a person approved. An operation with another plan changes nothing. */
const approvedPlan = z
  .object({
    rollout: z.uuid().meta({ description: "The rollout that the operation is part of." }),
    version: z.string().meta({ description: "The version of the program that was approved." }),
    fingerprint: z.string().meta({ description: "The fingerprint of the approved plan." }),
    dataLoss: z.boolean().meta({ description: "Whether losing data was approved." }),
  })
  .meta({ id: "ApprovedPlan" });

export type ApprovedPlan = z.output<typeof approvedPlan>;

/** What a caller asks for. Settings that it does not name stay as they are. */
const operationRequest = z
  .discriminatedUnion("kind", [
    z.object({
      kind: z.literal("up"),
      settings: settingsSchema,
      onFailure: z.enum(["keep", "rollback"]).meta({
        description: "If the first `up` fails: keep what it created, or destroy it again.",
      }),
      adopt,
      approved: approvedPlan.optional().meta({
        description: "In a rollout: nothing is done if the plan is not the approved one.",
      }),
      fix: z
        .enum(["all", ...FIX_POLICIES])
        .exclude(["nothing"])
        .optional()
        .meta({
          description:
            "Read the servers first, and take back what others changed there. With a policy, do nothing " +
            "if more would change than the policy permits.",
        }),
    }),
    z.object({
      kind: z.literal("preview"),
      settings: settingsSchema,
      of: z.enum(["up", "destroy"]).meta({
        description: "What an `up` would change, or what a destroy would delete.",
      }),
      adopt,
      rollout: z.uuid().optional().meta({ description: "The rollout that it plans." }),
      drift: z
        .object({ run: z.uuid().optional() })
        .optional()
        .meta({
          description:
            "Read the servers first, and record what others changed there. `run` is the look at all " +
            "projects that it is part of.",
        }),
    }),
    z.object({ kind: z.literal("refresh") }),
    z.object({
      kind: z.literal("destroy"),
      expired: z.iso.datetime({ offset: true }).optional().meta({
        description: "The end of its time to live. If that was prolonged, nothing is done.",
      }),
      retainData: z.boolean().optional().meta({
        description: "Keep the database. Default: the project's setting.",
      }),
      retainRepository: z.boolean().optional().meta({
        description: "Archive the repository. Default: the project's setting.",
      }),
    }),
  ])
  .meta({ id: "OperationRequest", description: "What the caller asked for." });

export type OperationRequest = z.output<typeof operationRequest>;

/** Whether nobody waits for it: a look at one of all projects. Everything else is done before it. */
export function isBackground(request: OperationRequest): boolean {
  return request.kind === "preview" && request.drift?.run !== undefined;
}

/** An error of an operation, for a user. It holds no secret and no stack trace. */
const operationError = z
  .object({
    code: z.string().optional().meta({ description: "Set if the error is one of rdev-infra's." }),
    urn: z.string().optional().meta({ description: "The resource that failed." }),
    message: z.string(),
  })
  .meta({ id: "OperationError" });

export type OperationError = z.output<typeof operationError>;

export const changes = z
  .object({
    create: z.int(),
    update: z.int(),
    replace: z.int(),
    delete: z.int(),
    same: z.int(),
  })
  .meta({
    id: "Changes",
    description: "How many resources the operation changed. For a preview: would change.",
  });

export type Changes = z.output<typeof changes>;

export const NO_CHANGES: Readonly<Changes> = {
  create: 0,
  update: 0,
  replace: 0,
  delete: 0,
  same: 0,
};

/** A step of an operation, for finding out where its time goes. */
export const timing = z
  .object({
    kind: z.enum(["command", "engine", "program", "resource", "wait", "proof"]).meta({
      description:
        "`command`: a command of Pulumi's CLI. `engine`: from the command's start until the engine works. " +
        "`program`: the program runs. `resource`: the engine's step for a resource. `wait`: what a " +
        "resource waits for in it. `proof`: a system is asked what is left there.",
    }),
    name: z.string().meta({ examples: ["kubernetes:apps/v1:Deployment my-app"] }),
    startMs: z.int().meta({ description: "Since the start of the operation." }),
    durationMs: z.int(),
  })
  .meta({ id: "Timing" });

export type Timing = z.output<typeof timing>;

export const outcome = z.object({
  result: z.enum(["succeeded", "failed", "cancelled"]),
  changes,
  outputs: z.record(z.string(), z.unknown()).meta({
    description: 'The stack\'s outputs. Secrets are the text "[secret]".',
  }),
  /** The settings that the stack records; absent if the operation ended before it recorded any. */
  settings: projectChanges.optional(),
  /** What the stack records of the project's template. */
  template: templateSeed.optional(),
  durationMs: z.number(),
  errors: z.array(operationError).meta({ description: "Empty if the operation succeeded." }),
  plan: stackPlan.optional().meta({
    description:
      "What would change, after a preview of an `up`, and after an `up` of a rollout whose plan was not " +
      "the approved one. Lists of operations leave it out.",
  }),
  timings: z
    .array(timing)
    .optional()
    .meta({
      description:
        "Where the time went: steps of 5 ms or longer, in the order of their starts. They overlap. " +
        "Lists of operations leave it out.",
    }),
});

export type Outcome = z.output<typeof outcome>;

/** The outcome of an operation that was refused before it changed anything. */
export function notBegun({ code, message }: InfraError): Outcome {
  return {
    result: "failed",
    changes: NO_CHANGES,
    outputs: {},
    durationMs: 0,
    errors: [{ code, message: `Nothing was done. ${message}` }],
  };
}

export const remaining = z
  .object({
    system: z.string().meta({ examples: ["postgres"] }),
    what: z.string().meta({ examples: ["database my_app"] }),
    why: z.enum(["retained", "unreachable", "left", "not-ours"]).meta({
      description:
        "`retained`: kept on purpose. `unreachable`: its system did not answer. `left`: it is not " +
        "deleted yet. `not-ours`: it has the project's name but not this stack's mark, so it was left " +
        "alone.",
    }),
  })
  .meta({ id: "Remaining", description: "An object that its server still has after a destroy." });

export type Remaining = z.output<typeof remaining>;

/** One preview, up, refresh or destroy of one project's stack. */
export const operation = z.object({
  /** Version 7, so ids sort by time. */
  id: z.uuid(),
  platform: z.string().meta({ examples: ["staging"] }),
  slug: z.string().meta({ description: "The project's slug.", examples: ["my-app"] }),
  request: operationRequest,
  state: operationState,
  actor: z
    .string()
    .meta({ description: "Who asked: the name of a key, a person, or a service account." }),
  createdAt: z.date(),
  startedAt: z.date().nullable(),
  endedAt: z.date().nullable(),
  attempts: z.int().meta({
    description: "How many times a worker started it. More than 1 after a crash.",
  }),
  /** Null until the operation has ended. */
  outcome: outcome.nullable(),
  remaining: z.array(remaining).meta({
    description: "After a destroy: what is left, and what was kept on purpose.",
  }),
});

export type Operation = z.output<typeof operation>;

/** A resource that the engine works on. */
const resourceStep = z.object({
  urn: z.string().meta({ description: "The resource." }),
  type: z.string().meta({ examples: ["pulumi-nodejs:dynamic/gitea:Repository"] }),
  name: z.string(),
  op: z.string().meta({ description: "What the engine does to it.", examples: ["create"] }),
  component: z.boolean().meta({ description: "A group of other resources." }),
  changed: z
    .array(z.string())
    .optional()
    .meta({ description: "Properties that differ, for an update or a replacement." }),
});

export type ResourceStep = z.output<typeof resourceStep>;

const durationMs = z.number();

export const resourceStarted = resourceStep.extend({ event: z.literal("resourceStarted") });
export const resourceDone = resourceStep.extend({ event: z.literal("resourceDone"), durationMs });
export const resourceFailed = resourceStep.extend({
  event: z.literal("resourceFailed"),
  durationMs,
});
export const diagnostic = operationError.extend({
  event: z.literal("diagnostic"),
  severity: z.enum(["info", "warning", "error"]),
});
export const summary = z.object({ event: z.literal("summary"), changes, durationMs });

/** What the engine does in an operation. Holds no secret: the values of properties are left out. */
export type OperationEvent = z.output<
  | typeof resourceStarted
  | typeof resourceDone
  | typeof resourceFailed
  | typeof diagnostic
  | typeof summary
>;

const stateChanged = z.object({
  event: z.literal("state"),
  state: operationState,
  attempts: z.int(),
});

export const numberedEvent = z.object({
  number: z.int().meta({ description: "Starts at 1 and has no gaps." }),
  at: z.date(),
  event: z
    .discriminatedUnion("event", [
      stateChanged,
      resourceStarted,
      resourceDone,
      resourceFailed,
      diagnostic,
      summary,
    ])
    .meta({ id: "OperationEvent", description: "What happened in an operation." }),
});

export type NumberedEvent = z.output<typeof numberedEvent>;
