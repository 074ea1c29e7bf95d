import { z } from "zod";
import { driftFinding } from "../../core/drift.ts";
import { InfraError } from "../../core/errors.ts";
import {
  diagnostic,
  outcome,
  remaining,
  resourceDone,
  resourceFailed,
  resourceStarted,
  summary,
} from "../../core/operation.ts";
import { projectChanges } from "../../core/settings.ts";
import { PLUGINS } from "../engine/plugin-process.ts";
import type { LockHolder } from "../engine/quirks/cli-text.ts";

/**
 * `empty`: nothing of the project exists, so everything made from now on belongs to this operation.
 * `approved`: the plan is the approved one, and a later attempt finds a part of it done.
 */
export const FACTS = ["empty", "approved"] as const;
export type Fact = (typeof FACTS)[number];

/** One operation for a worker to run. */
const job = z.strictObject({
  platform: z.string(),
  slug: z.string(),
  /** The settings in the request. The project's other settings stay as its stack records them. */
  settings: projectChanges,
  /** The project's settings in the database, used if its stack has no record of them yet. */
  formerly: projectChanges,
  task: z.discriminatedUnion("kind", [
    z.strictObject({
      kind: z.literal("up"),
      /** The `up` is rolled back if it fails, so it refuses to start if the project already exists. */
      needsEmpty: z.boolean(),
      /** Adopt what exists under the project's name. */
      adopt: z.literal(true).optional(),
      /** Read the servers first. With a policy, do nothing if more would change than it permits. */
      fix: z.enum(["all", "updates", "repairs"]).optional(),
      /** Do nothing if the plan is another one, or loses data without approval. */
      approved: z.strictObject({ fingerprint: z.string(), dataLoss: z.boolean() }).optional(),
    }),
    /** Deletes what a failed `up` made. */
    z.strictObject({ kind: z.literal("rollback") }),
    z.strictObject({
      kind: z.literal("preview"),
      of: z.enum(["up", "destroy"]),
      /** There is no such project, so the preview also removes the stack's record that it makes. */
      isNewProject: z.boolean(),
      /** Only show what an adoption would find. */
      adopt: z.literal(true).optional(),
      /** Look for what others changed on the servers. */
      drift: z.literal(true).optional(),
    }),
    z.strictObject({ kind: z.literal("refresh") }),
    z.strictObject({ kind: z.literal("destroy") }),
  ]),
});

export type Job = z.output<typeof job>;

const event = z.discriminatedUnion("event", [
  resourceStarted.strict(),
  resourceDone.strict(),
  resourceFailed.strict(),
  diagnostic.strict(),
  summary.strict(),
]);

const holder = z.strictObject({
  user: z.string(),
  host: z.string(),
  pid: z.int(),
  since: z.string(),
}) satisfies z.ZodType<LockHolder>;

/** What the service sends to a worker. */
const command = z.discriminatedUnion("type", [
  /** The first: which program to load. Null is this package's own. */
  z.strictObject({ type: z.literal("prepare"), program: z.string().nullable() }),
  z.strictObject({
    type: z.literal("run"),
    job,
    workDir: z.string(),
    /** The plugins that the service lends. `plugins` follows. Null: the engine starts its own. */
    lease: z.strictObject({ mark: z.string(), names: z.array(z.enum(PLUGINS)) }).nullable(),
  }),
  /** The ports of the plugins that the service lends. Null if one of them did not start. */
  z.strictObject({
    type: z.literal("plugins"),
    ports: z.partialRecord(z.enum(PLUGINS), z.int()).nullable(),
  }),
  /** Finish what is under way, and start nothing more. */
  z.strictObject({ type: z.literal("cancel") }),
  /** The worker ends itself and all that it started after so long, unless the lease is renewed. */
  z.strictObject({ type: z.literal("lease"), ms: z.number() }),
  /** The answer to `found`: the database has recorded it, so the `up` may start. */
  z.strictObject({ type: z.literal("foundRecorded") }),
  /** The answer to `locked`. */
  z.strictObject({ type: z.literal("mayBreakLocks"), answer: z.boolean() }),
]);

/** What a worker sends to the service. */
const report = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("ready") }),
  z.strictObject({ type: z.literal("event"), event }),
  /** A command of Pulumi's CLI has started. */
  z.strictObject({ type: z.literal("engine"), pid: z.int() }),
  z.strictObject({ type: z.literal("locked"), holders: z.array(holder) }),
  /** What a later attempt must know before anything is made. */
  z.strictObject({ type: z.literal("found"), fact: z.enum(FACTS) }),
  z.strictObject({
    type: z.literal("done"),
    outcome: outcome.strict(),
    remaining: z.array(remaining.strict()),
    /** Nothing is left except what was retained on purpose, and the stack has no record. */
    gone: z.boolean(),
    /** A failed `up` made everything that exists now, so a rollback may delete it. */
    mayRollBack: z.boolean(),
    /** What others changed on the servers, after a look for that. */
    drift: driftFinding.optional(),
    /** Something else ended the engine: the operation can be retried. */
    killed: z.boolean(),
    /** Another operation may use the plugins that the service lent. */
    keepsPlugins: z.boolean(),
  }),
]);

export type Command = z.output<typeof command>;
export type Report = z.output<typeof report>;
export type JobResult = Omit<Extract<Report, { type: "done" }>, "keepsPlugins">;

/** Throws RDEV_INTERNAL for a message that does not have this form. */
export function parseCommand(message: unknown): Command {
  return parse(command, message);
}

export function parseReport(message: unknown): Report {
  return parse(report, message);
}

function parse<T>(schema: z.ZodType<T>, message: unknown): T {
  const parsed = schema.safeParse(message);
  if (parsed.success) return parsed.data;
  // Leaves the values out, because they may hold secrets.
  const where = parsed.error.issues.map(({ path, code: issue }) => `${path.join(".")}: ${issue}`);
  throw new InfraError(
    "RDEV_INTERNAL",
    `Service and worker disagree on the form of a message (${where.join("; ")}).`,
  );
}
