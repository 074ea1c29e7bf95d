import { z } from "zod";
import { projectLabels } from "./project-labels.ts";
import { group, REPORT_VERDICTS, reportTotals } from "./previews/model.ts";

// The shapes of rollouts: the database's rows, the API and the command use them. Like the shapes of
// operations, they ignore properties that they do not know.

export const ROLLOUT_STATES = [
  "planning",
  "planned",
  "running",
  "paused",
  "cancelling",
  "succeeded",
  "incomplete",
  "stopped",
  "cancelled",
] as const;
export type RolloutState = (typeof ROLLOUT_STATES)[number];

export const rolloutState = z.enum(ROLLOUT_STATES).meta({
  id: "RolloutState",
  description:
    "`planning`: its projects are previewed. `planned`: it waits for an approval. `running`: its waves " +
    "run. `paused`: it begins nothing new. `cancelling`: running operations end. The others are final: " +
    "`succeeded`, `incomplete` (projects failed or were held back), `stopped` (too many failed) and " +
    "`cancelled`.",
});

/** The states of a rollout that has ended. */
export const finalRolloutState = rolloutState.extract([
  "succeeded",
  "incomplete",
  "stopped",
  "cancelled",
]);

const FINAL: readonly RolloutState[] = finalRolloutState.options;

export const OPEN_ROLLOUT_STATES = ROLLOUT_STATES.filter((state) => !FINAL.includes(state));

export function isRolloutOpen(state: RolloutState): boolean {
  return !FINAL.includes(state);
}

const WAVE = /^([1-9]\d{0,3}|([1-9]\d?|100)%|rest)$/;

/** A slug with `*` for any characters. */
const slugPattern = z
  .string()
  .regex(/^[a-z0-9*-]{1,80}$/, "is not a slug, in which * stands for any characters");

const selection = z
  .strictObject({
    only: z.enum(["outdated", "all"]).default("outdated").meta({
      description: "Only projects whose last `up` ran another version of the program, or all.",
    }),
    slugs: z
      .array(slugPattern)
      .min(1)
      .max(1000)
      .optional()
      .meta({
        description:
          "Only projects with one of these slugs. `*` stands for any characters. Each must match a project.",
        examples: [["shop-*", "blog"]],
      }),
    template: z.string().min(1).max(100).optional().meta({
      description: "Only projects of this template.",
    }),
    labels: projectLabels.optional().meta({
      description: "Only projects with all of these labels.",
      examples: [{ team: "shop" }],
    }),
  })
  .meta({ id: "RolloutSelection", description: "A project must meet all conditions." });

export type RolloutSelection = z.output<typeof selection>;

const checks = z
  .strictObject({
    ready: z.boolean().default(true).meta({ description: "The project's Deployment is ready." }),
    errors: z
      .boolean()
      .default(true)
      .meta({
        description:
          "The project does not log more errors in Citadel than before, for as long before its turn as " +
          "after it. Not checked while CITADEL_ENABLED is false.",
      }),
  })
  .meta({
    id: "RolloutChecks",
    description: "What must hold for each project of a wave after the pause.",
  });

/** What a caller asks for. */
export const rolloutRequest = z
  .strictObject({
    select: selection.prefault({}),
    waves: z
      .array(z.string().regex(WAVE, 'is not a number, a percentage such as 10%, or "rest"'))
      .min(1)
      .max(50)
      .default(["1", "10%", "rest"])
      .meta({
        description:
          "The size of each wave: a number of projects, a part of all of them (rounded up), or `rest`. " +
          "What is left after the last one is a wave of its own.",
      }),
    canaries: z.array(slugPattern).max(100).default([]).meta({
      description: "Selected projects that come first: the first wave has all of them.",
    }),
    atOnce: z.int().min(1).max(100).default(4).meta({
      description: "How many of its operations may wait or run at once.",
    }),
    maxFailures: z.int().min(1).max(10_000).default(1).meta({
      description: "After so many failed projects it begins nothing more.",
    }),
    pauseSeconds: z.int().min(0).max(86_400).default(60).meta({
      description: "How long to wait after each wave, before its projects are checked.",
    }),
    deadlineMinutes: z.int().min(1).max(1_440).default(30).meta({
      description: "An operation that runs longer is cancelled, and its project counts as failed.",
    }),
    checks: checks.prefault({}),
    onFailure: z
      .enum(["leave", "rollback"])
      .default("leave")
      .meta({
        description:
          "What happens to a project that failed. Only `leave` is supported: the service has one version " +
          "of the program, so `rollback` is refused with RDEV_ROLLOUT.",
      }),
  })
  .meta({ id: "StartRollout" });

export type RolloutRequest = z.output<typeof rolloutRequest>;

export const ROLLOUT_STACK_STATES = [
  "waiting",
  "planning",
  "planned",
  "running",
  "succeeded",
  "failed",
  "held",
  "skipped",
] as const;
export type RolloutStackState = (typeof ROLLOUT_STACK_STATES)[number];

const stackState = z.enum(ROLLOUT_STACK_STATES).meta({
  id: "RolloutProjectState",
  description:
    "`waiting`: for its preview. `planning`: it is previewed. `planned`: it waits for its turn. " +
    "`running`: its `up` waits or runs. `held`: nothing was done, and `reason` says why. `skipped`: the " +
    "project was deleted, or the rollout ended before its turn.",
});

const reason = z
  .object({
    code: z
      .enum([
        "plan-failed",
        "plan-differs",
        "data-loss",
        "other-version",
        "failed",
        "cancelled",
        "too-slow",
        "not-ready",
        "more-errors",
        "deleted",
        "not-begun",
      ])
      .meta({
        description:
          "`plan-failed`: its preview failed. `plan-differs`: at its turn its plan was not the approved " +
          "one. `data-loss`: it would lose data, which was not approved. `other-version`: a replica with " +
          "another version of the program took it. `failed`: its `up` failed. `too-slow`: its `up` ran " +
          "longer than the deadline. `not-ready`, `more-errors`: a check after its wave failed.",
      }),
    message: z.string(),
  })
  .meta({ id: "RolloutReason" });

export type RolloutReason = z.output<typeof reason>;

export const rolloutStack = z.object({
  slug: z.string().meta({ examples: ["my-app"] }),
  wave: z.int().meta({ description: "From 1." }),
  state: stackState,
  reason: reason.optional(),
  fingerprint: z.string().optional().meta({
    description: "Identifies its plan: another plan has another one. Absent until it is planned.",
  }),
  losesData: z.boolean().meta({
    description: "Its plan deletes or replaces something that holds data.",
  }),
  preview: z.uuid().optional().meta({ description: "The operation that planned it." }),
  operation: z.uuid().optional().meta({ description: "The operation that brought it up." }),
});

export type RolloutStack = z.output<typeof rolloutStack>;

const approval = z
  .object({
    by: z.string().meta({ description: "Who approved it." }),
    at: z.date(),
    dataLoss: z.boolean().meta({ description: "Whether losing data was approved as well." }),
  })
  .meta({ id: "RolloutApproval" });

/** A change of many projects in waves, by ordinary operations. */
export const rollout = z.object({
  /** Version 7, so ids sort by time. */
  id: z.uuid(),
  platform: z.string().meta({ examples: ["staging"] }),
  version: z.string().meta({
    description: "The version of the program that it brings.",
    examples: ["0.1.0+3f2a9c1b0d4e"],
  }),
  request: rolloutRequest,
  state: rolloutState,
  reason: z.string().optional().meta({ description: "Why it is paused, or has ended early." }),
  actor: z.string().meta({ description: "Who started it." }),
  createdAt: z.date(),
  endedAt: z.date().optional(),
  plan: z.string().optional().meta({
    description:
      "Identifies the plan of all projects. An approval names it. Absent while planning.",
  }),
  approval: approval.optional(),
  wave: z.int().meta({ description: "The wave under way, from 1; 0 before the first." }),
  waves: z.int().meta({ description: "How many there are." }),
  totals: z
    .object({
      waiting: z.int(),
      planning: z.int(),
      planned: z.int(),
      running: z.int(),
      succeeded: z.int(),
      failed: z.int(),
      held: z.int(),
      skipped: z.int(),
    } satisfies Record<RolloutStackState, z.ZodInt>)
    .meta({ id: "RolloutTotals", description: "How many projects are in each state." }),
});

export type Rollout = z.output<typeof rollout>;

/** Names the plan that is approved, so a plan that nobody has seen is never done. */
export const rolloutApproval = z
  .strictObject({
    plan: z
      .string()
      .min(1)
      .max(100)
      .meta({ description: "The rollout's `plan`, as it was shown." }),
    dataLoss: z
      .boolean()
      .default(false)
      .meta({
        description:
          "Also approve plans that delete or replace what holds data, which needs the role admin. " +
          "Otherwise those projects are held.",
      }),
  })
  .meta({ id: "ApproveRollout" });

export const rolloutEvent = z
  .discriminatedUnion("event", [
    z.object({
      event: z.literal("rollout"),
      state: rolloutState,
      reason: z.string().optional(),
    }),
    z.object({
      event: z.literal("wave"),
      wave: z.int(),
      state: z.enum(["begun", "ended", "checked"]).meta({
        description: "`ended`: its operations have ended, and the pause before the checks begins.",
      }),
    }),
    rolloutStack
      .pick({ slug: true, wave: true, state: true, reason: true, operation: true, preview: true })
      .extend({ event: z.literal("project") }),
  ])
  .meta({ id: "RolloutEvent", description: "What happened in a rollout." });

export type RolloutEvent = z.output<typeof rolloutEvent>;

export const numberedRolloutEvent = z.object({
  number: z.int().meta({ description: "Starts at 1 and has no gaps." }),
  at: z.date(),
  event: rolloutEvent,
});

export type NumberedRolloutEvent = z.output<typeof numberedRolloutEvent>;

/** The plan of all projects before the rollout has ended, and its results afterwards. */
export const rolloutReport = z
  .object({
    of: z.enum(["plan", "result"]),
    verdict: z.enum(REPORT_VERDICTS),
    totals: reportTotals,
    severe: z.array(group).meta({
      description: "Projects with a replacement, a deletion or a blocking finding.",
    }),
    failed: z.array(group).meta({ description: "Projects that failed or were held back." }),
    changed: z.array(group).meta({ description: "All other changes, the largest group first." }),
    unchanged: z.array(z.string()),
  })
  .meta({ id: "RolloutReport", description: "Projects with the same changes are one group." });

export type RolloutReport = z.output<typeof rolloutReport>;
