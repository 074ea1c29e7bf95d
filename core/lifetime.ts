import { z } from "zod";

// The time to live of a project. Times are in ms since 1970.

/** The setting `expiresAt` of a project without a time to live. */
export const NEVER = "never";

const HOUR = 3_600_000;

/** When a project with a time to live is warned about and deleted. */
export const lifetimeSettings = z.strictObject({
  /** How long before the end of a project's time to live the notice is sent. */
  noticeHours: z.number().min(0).max(8_760).default(72),
  /** How long an expired project is only stopped before it is deleted. */
  graceHours: z.number().min(0).max(8_760).default(168),
});

export type LifetimeSettings = z.output<typeof lifetimeSettings>;

/** The steps that end an expiring project, in this order. */
export const LIFETIME_STEPS = ["notice", "stop", "destroy"] as const;
export type LifetimeStep = (typeof LIFETIME_STEPS)[number];

/** The steps that are done for one end of a time to live. */
export interface LifetimeProgress {
  readonly noticedAt: number | undefined;
  readonly stoppedAt: number | undefined;
}

/** The end of a project's time to live; Infinity if it has none. */
export function expiryOf({
  expiresAt = NEVER,
}: {
  readonly expiresAt?: string | undefined;
}): number {
  return expiresAt === NEVER ? Infinity : Date.parse(expiresAt);
}

/**
 * The end that counts. `recorded` is that of the last `up`. `requested` is that of a later `up` that has not
 * succeeded: a person prolonged the time, so it counts if it is later, and a failure does not end the project.
 */
export function effectiveExpiry(recorded: number, requested: number | undefined): number {
  return Math.max(recorded, requested ?? recorded);
}

/**
 * The step that is due. A service that was away skips none: the stop follows the notice, and the destroy
 * follows the stop by at least the grace.
 */
export function dueStep(
  expiresAt: number,
  { noticedAt, stoppedAt }: LifetimeProgress,
  { noticeHours, graceHours }: LifetimeSettings,
  now: number,
): LifetimeStep | undefined {
  if (now < expiresAt - noticeHours * HOUR) return undefined;
  if (noticedAt === undefined) return "notice";
  if (now < expiresAt) return undefined;
  if (stoppedAt === undefined) return "stop";
  return now < deletionTime(expiresAt, stoppedAt, graceHours) ? undefined : "destroy";
}

/** The earliest time of the destroy. */
export function deletionTime(
  expiresAt: number,
  stoppedAt: number | undefined,
  graceHours: number,
): number {
  return Math.max(expiresAt, stoppedAt ?? expiresAt) + graceHours * HOUR;
}

/** The last operation that was begun for a project's end. */
export interface LastTry {
  readonly step: Exclude<LifetimeStep, "notice">;
  readonly state: "open" | "succeeded" | "failed";
  /** How often the step was begun, and when last. */
  readonly attempts: number;
  readonly triedAt: number;
}

export interface LifetimeState {
  readonly expiresAt: number;
  readonly progress: LifetimeProgress;
  /** Whether it runs no pods. A person may start it in the grace. */
  readonly isStopped: boolean;
  readonly last: LastTry | undefined;
}

/** The step to begin now: the one that is due, or one again whose operation failed a while ago. */
export function nextStep(
  { expiresAt, progress, isStopped, last }: LifetimeState,
  settings: LifetimeSettings,
  now: number,
): LifetimeStep | undefined {
  if (last?.state === "open") return undefined;
  const stopFailed = last?.step === "stop" && last.state === "failed" && !isStopped;
  const step =
    dueStep(expiresAt, progress, settings, now) ??
    (stopFailed && now >= expiresAt ? "stop" : undefined);
  const isAgain = last !== undefined && last.step === step;
  return isAgain && now < last.triedAt + retryDelay(last.attempts) ? undefined : step;
}

/** In ms: the wait before a step whose operation failed is tried again, for the nth time from 1. */
export function retryDelay(attempt: number): number {
  return Math.min(6 * HOUR, 300_000 * 2 ** Math.min(attempt - 1, 10));
}
