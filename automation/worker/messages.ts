import { z } from "zod";
import { ERROR_CODES, InfraError, type ErrorCode } from "../../core/errors.ts";
import { projectChanges } from "../../core/settings.ts";
import type { OperationEvent } from "../engine/events.ts";
import type { Outcome } from "../engine/outcome.ts";
import type { Remaining } from "../operations/operation.ts";
import { job } from "./job.ts";

const code = z.enum(Object.keys(ERROR_CODES) as [ErrorCode, ...ErrorCode[]]);

const operationError = z.strictObject({
  code: code.optional(),
  urn: z.string().optional(),
  message: z.string(),
});

const changes = z.strictObject({
  ...{ create: z.int(), update: z.int(), replace: z.int(), delete: z.int(), same: z.int() },
});

const step = {
  ...{ urn: z.string(), type: z.string(), name: z.string(), op: z.string() },
  ...{ component: z.boolean(), changed: z.array(z.string()).optional() },
};

const durationMs = z.number();

const event = z.discriminatedUnion("event", [
  z.strictObject({ event: z.literal("resourceStarted"), ...step }),
  z.strictObject({ event: z.literal("resourceDone"), ...step, durationMs }),
  z.strictObject({ event: z.literal("resourceFailed"), ...step, durationMs }),
  operationError.extend({
    event: z.literal("diagnostic"),
    severity: z.enum(["info", "warning", "error"]),
  }),
  z.strictObject({ event: z.literal("summary"), changes, durationMs }),
]) as unknown as z.ZodType<OperationEvent>;

const outcome = z.strictObject({
  result: z.enum(["succeeded", "failed", "cancelled"]),
  outputs: z.record(z.string(), z.unknown()),
  settings: projectChanges.optional(),
  errors: z.array(operationError),
  ...{ changes, durationMs },
}) as unknown as z.ZodType<Outcome>;

const remaining = z.strictObject({
  ...{ system: z.string(), what: z.string() },
  why: z.enum(["retained", "unreachable", "left", "not-ours"]),
}) satisfies z.ZodType<Remaining>;

const holder = z.strictObject({
  ...{ user: z.string(), host: z.string(), pid: z.int(), since: z.string() },
});

/** What the service sends to a worker. */
const command = z.discriminatedUnion("type", [
  /** The first: which program to load. Null is this package's own. */
  z.strictObject({ type: z.literal("prepare"), program: z.string().nullable() }),
  z.strictObject({ type: z.literal("run"), job, workDir: z.string() }),
  /** Finish what is under way, and start nothing more. */
  z.strictObject({ type: z.literal("cancel") }),
  /** The worker ends itself and all that it started after so long, unless the lease is renewed. */
  z.strictObject({ type: z.literal("lease"), ms: z.number() }),
  /** The answer to `foundEmpty`: the database has recorded it, so the `up` may start. */
  z.strictObject({ type: z.literal("foundEmptyRecorded") }),
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
  /** Nothing of the project exists, so everything made from now on belongs to this operation. */
  z.strictObject({ type: z.literal("foundEmpty") }),
  z.strictObject({
    type: z.literal("done"),
    outcome,
    remaining: z.array(remaining),
    /** Nothing is left except what was retained on purpose, and the stack has no record. */
    gone: z.boolean(),
    /** A failed `up` made everything that exists now, so a rollback may delete it. */
    mayUndo: z.boolean(),
    /** Something else ended the engine: the operation can be retried. */
    killed: z.boolean(),
  }),
]);

export type Command = z.output<typeof command>;
export type Report = z.output<typeof report>;
export type JobResult = Extract<Report, { type: "done" }>;

/** Throws RDEV_INTERNAL for a message that does not have this form. */
export function parseCommand(message: unknown): Command {
  return parse(command, message);
}

/** Throws like `parseCommand`. */
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
