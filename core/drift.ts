import { z } from "zod";
import { change } from "./previews/model.ts";

// Drift: what others changed on the servers since the last `up`, and what an `up` would change back.

/** Which drift may be fixed without asking a person. */
export const FIX_POLICIES = ["nothing", "updates", "repairs"] as const;

export const fixPolicy = z.enum(FIX_POLICIES).meta({
  description:
    "`updates`: only drift that updates of existing objects take back. `repairs`: also objects that must " +
    "be created again, unless they held data. No policy permits a replacement or a deletion.",
});

export type FixPolicy = z.output<typeof fixPolicy>;

/** Five fields, as in a crontab. `cron.ts` checks them fully. */
const schedule = z
  .string()
  .regex(/^[\d*/,-]+( [\dA-Za-z#*/,?-]+){4}$/, "is not a schedule of five fields");

/** The look at every project for drift. */
export const driftSettings = z.strictObject({
  /** When the look at all projects begins. Default: never. */
  schedule: schedule.optional(),
  /** The time zone of the schedule, such as Europe/Berlin. */
  timezone: z.string().min(1).default("Etc/UTC"),
  /** How many projects are looked at together, on all replicas. */
  atOnce: z.int().min(1).max(64).default(2),
  /** The drift that is fixed without asking. */
  fix: fixPolicy.default("nothing"),
});

export type DriftSettings = z.output<typeof driftSettings>;

/** A program that changed an object, as far as the server says so. */
export const changedBy = z
  .object({
    manager: z.string().meta({
      description: "The program, as Kubernetes' managed fields name it.",
      examples: ["kubectl-edit"],
    }),
    at: z.iso
      .datetime()
      .optional()
      .meta({ description: "Absent if Kubernetes does not record it." }),
  })
  .meta({ id: "ChangedBy" });

export type ChangedBy = z.output<typeof changedBy>;

/** One object that differs. `update`: it has other values. `delete`: it is gone. `create`: it is new. */
export const driftChange = change
  .extend({ by: z.array(changedBy).meta({ description: "Empty if no server says who it was." }) })
  .meta({ id: "DriftChange", description: "An object that differs from the last `up`." });

export type DriftChange = z.output<typeof driftChange>;

/** What a look at one project found. */
export const driftFinding = z.object({
  changes: z.array(driftChange),
  /** What an `up` would do, by the policy that permits it: `nothing` if a person must decide. */
  fixableBy: fixPolicy,
});

export type DriftFinding = z.output<typeof driftFinding>;

export const DRIFT_STATES = ["unchecked", "clean", "drifted", "failed"] as const;
export type DriftState = (typeof DRIFT_STATES)[number];

export const driftState = z.enum(DRIFT_STATES).meta({
  id: "DriftState",
  description:
    "`clean`: nothing differed at the last look. `drifted`: something differs. `failed`: the last look " +
    "failed; `changes` are those of the look before it. `unchecked`: nobody has looked yet.",
});

/** A change with the look that found it first. */
const knownChange = driftChange.extend({ since: z.iso.datetime() });
export type KnownChange = z.output<typeof knownChange>;

const driftError = z
  .object({ code: z.string().optional(), message: z.string(), since: z.iso.datetime() })
  .meta({ id: "DriftError", description: "Why the last look failed. Not drift." });

export type DriftError = z.output<typeof driftError>;

/** A project's drift, as its record shows it. */
export const drift = z
  .object({
    slug: z.string().meta({ examples: ["my-app"] }),
    state: driftState,
    checkedAt: z.iso.datetime().optional().meta({ description: "The last look that succeeded." }),
    since: z.iso.datetime().optional().meta({ description: "The first look that found a change." }),
    changes: z.array(knownChange),
    fixableBy: fixPolicy,
    error: driftError.optional(),
    operation: z.uuid().optional().meta({ description: "The last look." }),
    fix: z.uuid().optional().meta({ description: "The last operation that was to fix it." }),
  })
  .meta({ id: "Drift" });

export type Drift = z.output<typeof drift>;

/** A look at all projects. */
export const driftRun = z
  .object({
    id: z.uuid(),
    reason: z.enum(["schedule", "request"]),
    actor: z.string(),
    startedAt: z.iso.datetime(),
    endedAt: z.iso.datetime().optional(),
    total: z.int().meta({ description: "How many projects there are." }),
    done: z.int().meta({ description: "How many of them have been looked at." }),
    drifted: z.int(),
    failed: z.int(),
  })
  .meta({ id: "DriftRun" });

export type DriftRun = z.output<typeof driftRun>;

/** The changes of a new look, each with the time since when it is known. `now` in ISO 8601. */
export function sinceFirstSeen(
  before: readonly KnownChange[],
  found: readonly DriftChange[],
  now: string,
): KnownChange[] {
  const known = new Map(before.map(({ urn, since }) => [urn, since]));
  return found.map((each) => ({ ...each, since: known.get(each.urn) ?? now }));
}

/** Whether the setting permits a fix that needs at least the policy `needed`. */
export function isPermitted(setting: FixPolicy, needed: FixPolicy): boolean {
  return needed !== "nothing" && FIX_POLICIES.indexOf(setting) >= FIX_POLICIES.indexOf(needed);
}
