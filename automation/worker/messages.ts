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

/** What a worker is told. */
const order = z.discriminatedUnion("type", [
  /** First: which program to load. Null is this package's own. */
  z.strictObject({ type: z.literal("prepare"), program: z.string().nullable() }),
  z.strictObject({ type: z.literal("run"), job, workDir: z.string() }),
  /** Finish what is under way, and begin nothing more. */
  z.strictObject({ type: z.literal("cancel") }),
  /** It may go on for so long; without another such word it ends itself and all that it started. */
  z.strictObject({ type: z.literal("lease"), ms: z.number() }),
  /** The answer to `foundEmpty`: it is on record, so the `up` may begin. */
  z.strictObject({ type: z.literal("noted") }),
  /** The answer to `locked`. */
  z.strictObject({ type: z.literal("mayBreakLocks"), answer: z.boolean() }),
]);

/** What a worker tells. */
const report = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("ready") }),
  z.strictObject({ type: z.literal("event"), event }),
  /** A command of the engine's runs. */
  z.strictObject({ type: z.literal("engine"), pid: z.int() }),
  z.strictObject({ type: z.literal("locked"), holders: z.array(holder) }),
  /** Nothing of the project is there, so all that comes is this operation's. */
  z.strictObject({ type: z.literal("foundEmpty") }),
  z.strictObject({
    type: z.literal("done"),
    outcome,
    remaining: z.array(remaining),
    /** Nothing of the project is left but what was kept on purpose, and its stack has no record. */
    gone: z.boolean(),
    /** An `up` that failed: all that is there it made itself, so a rollback may delete it. */
    mayUndo: z.boolean(),
    /** Something else ended the engine: the operation can be begun again. */
    killed: z.boolean(),
  }),
]);

export type Order = z.output<typeof order>;
export type Report = z.output<typeof report>;
export type Done = Extract<Report, { type: "done" }>;

/** Throws RDEV_INTERNAL for what is no such message. */
export function parseOrder(message: unknown): Order {
  return parse(order, message);
}

/** As `parseOrder`. */
export function parseReport(message: unknown): Report {
  return parse(report, message);
}

function parse<T>(schema: z.ZodType<T>, message: unknown): T {
  const parsed = schema.safeParse(message);
  if (parsed.success) return parsed.data;
  // Its values are left out: who knows what came.
  const where = parsed.error.issues.map(({ path, code: issue }) => `${path.join(".")}: ${issue}`);
  throw new InfraError("RDEV_INTERNAL", `Service and worker differ (${where.join("; ")}).`);
}
