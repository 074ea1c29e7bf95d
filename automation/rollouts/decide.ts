import type { Operation } from "../../core/operation.ts";
import { losesData } from "../../core/previews/plan.ts";
import type { RolloutReason, RolloutStackState } from "../../core/rollout.ts";
import type { RolloutProjectRow, RolloutRow } from "../store/schema.ts";

// What a rollout does next, from what is known. No database, no clock, no network.

/** A project of a rollout, with its operation if one is under way. */
export interface Known {
  readonly row: Pick<RolloutProjectRow, "slug" | "wave" | "state">;
  /** Undefined if its state needs none, or if the operation is lost. */
  readonly operation: Operation | undefined;
}

/** How a project's operation ended. */
export interface Ended {
  readonly slug: string;
  readonly state: RolloutStackState;
  readonly reason?: RolloutReason;
  readonly operation?: Operation;
}

const UNDER_WAY: readonly RolloutStackState[] = ["planning", "running"];

export function isUnderWay({ row: { state } }: Known): boolean {
  return UNDER_WAY.includes(state);
}

/** The projects whose operation has ended. One whose operation is lost waits again. */
export function endedProjects(known: readonly Known[], deadlineMs: number): Ended[] {
  return known.filter(isUnderWay).flatMap(({ row: { slug, state }, operation }): Ended[] => {
    if (!operation) return [{ slug, state: state === "planning" ? "waiting" : "planned" }];
    if (!operation.endedAt) return [];
    const isPlanning = state === "planning";
    return [{ slug, operation, ...(isPlanning ? planned : broughtUp)(operation, deadlineMs) }];
  });
}

type Result = Pick<Ended, "state" | "reason">;

function planned({ state, outcome }: Operation): Result {
  if (state === "succeeded" && outcome?.plan) return { state: "planned" };
  if (outcome?.errors.some(({ code }) => code === "RDEV_NOT_FOUND")) return DELETED;
  return held("plan-failed", firstError(outcome) ?? `its preview was ${state}`);
}

function broughtUp(operation: Operation, deadlineMs: number): Result {
  const { state, request, outcome, startedAt, endedAt } = operation;
  if (state === "succeeded") return { state: "succeeded" };
  const message = firstError(outcome) ?? `its operation was ${state}`;
  if (outcome?.errors.some(({ code }) => code === "RDEV_NOT_FOUND")) return DELETED;
  if (outcome?.errors.some(({ code }) => code === "RDEV_PLAN")) {
    if (!outcome.plan) return held("other-version", message);
    const mayLoseData = request.kind === "up" && request.approved?.dataLoss === true;
    const isLoss = losesData(outcome.plan) && !mayLoseData;
    return held(isLoss ? "data-loss" : "plan-differs", message);
  }
  if (state !== "cancelled") return failed("failed", message);
  const ran = startedAt && endedAt ? endedAt.getTime() - startedAt.getTime() : 0;
  return ran >= deadlineMs
    ? failed("too-slow", `its operation ran longer than ${deadlineMs / 60_000} minutes`)
    : failed("cancelled", message);
}

const DELETED: Result = {
  state: "skipped",
  reason: { code: "deleted", message: "the project was deleted" },
};

function held(code: RolloutReason["code"], message: string): Result {
  return { state: "held", reason: { code, message } };
}

function failed(code: RolloutReason["code"], message: string): Result {
  return { state: "failed", reason: { code, message } };
}

function firstError(outcome: Operation["outcome"]): string | undefined {
  return outcome?.errors[0]?.message;
}

/** The operations that have run longer than the deadline. */
export function overdue(known: readonly Known[], deadlineMs: number, now: number): Operation[] {
  return known.flatMap(({ operation }) => {
    const isRunning = operation?.state === "running" && operation.startedAt;
    return isRunning && now - isRunning.getTime() > deadlineMs ? [operation] : [];
  });
}

/** How a rollout ends. */
export interface RolloutEnd {
  readonly state: "succeeded" | "incomplete" | "stopped" | "cancelled";
  readonly reason?: string;
}

/** What a rollout does next, once the ends of its operations are recorded. */
export type Next =
  /** Wait for operations, for the end of the pause, or for a person. */
  | { readonly next: "wait" }
  /** Submit operations of these projects. */
  | { readonly next: "begin"; readonly slugs: readonly string[] }
  | { readonly next: "planned" }
  | { readonly next: "end-wave" }
  /** Nothing of the wave was rolled out, so nothing tells whether to go on. */
  | { readonly next: "pause"; readonly reason: string }
  | { readonly next: "check"; readonly slugs: readonly string[] }
  | ({ readonly next: "end" } & RolloutEnd);

type Progress = Pick<RolloutRow, "state" | "wave" | "wave_ended_at" | "request">;

/** `now` is in ms since 1970. */
export function nextStep(
  { state, wave, wave_ended_at: waveEndedAt, request }: Progress,
  known: readonly Known[],
  now: number,
): Next {
  const { atOnce, maxFailures, pauseSeconds } = request;
  const underWay = known.filter(isUnderWay).length;
  const slugsIn = (wanted: RolloutStackState, projects = known) =>
    projects.filter(({ row }) => row.state === wanted).map(({ row }) => row.slug);
  const begin = (slugs: readonly string[]): Next => {
    const free = atOnce - underWay;
    return free > 0 ? { next: "begin", slugs: slugs.slice(0, free) } : { next: "wait" };
  };

  if (state === "cancelling") {
    return underWay > 0 ? { next: "wait" } : { next: "end", state: "cancelled" };
  }
  if (state === "planning") {
    const waiting = slugsIn("waiting");
    if (waiting.length > 0) return begin(waiting);
    if (underWay > 0) return { next: "wait" };
    if (slugsIn("planned").length > 0) return { next: "planned" };
    return { next: "end", state: "incomplete", reason: "no project could be planned" };
  }
  const failures = slugsIn("failed").length;
  if (failures >= maxFailures) {
    if (underWay > 0) return { next: "wait" };
    const reason = `${failures} ${failures === 1 ? "project" : "projects"} failed`;
    return { next: "end", state: "stopped", reason };
  }
  if (state !== "running") return { next: "wait" };

  const current = known.filter(({ row }) => row.wave === wave);
  const waiting = slugsIn("planned", current);
  if (waiting.length > 0) return begin(waiting);
  if (current.some(isUnderWay)) return { next: "wait" };
  const succeeded = slugsIn("succeeded", current);
  if (!waveEndedAt) {
    const hasMore = slugsIn("planned").length > 0;
    const isBlind = hasMore && succeeded.length === 0 && slugsIn("held", current).length > 0;
    const reason = `all projects of wave ${wave} were held back`;
    return isBlind ? { next: "pause", reason } : { next: "end-wave" };
  }
  if (succeeded.length > 0 && now < waveEndedAt.getTime() + pauseSeconds * 1_000) {
    return { next: "wait" };
  }
  return { next: "check", slugs: succeeded };
}

/** What follows a wave whose checks are done. */
export function afterWave(
  { wave, request }: Pick<Progress, "wave" | "request">,
  known: readonly Known[],
): { readonly nextWave: number } | RolloutEnd {
  const failures = known.filter(({ row }) => row.state === "failed").length;
  if (failures >= request.maxFailures) {
    const reason = `${failures} ${failures === 1 ? "project" : "projects"} failed`;
    return { state: "stopped", reason };
  }
  if (known.some(({ row }) => row.wave > wave)) return { nextWave: wave + 1 };
  const isComplete = known.every(({ row: { state } }) => ["succeeded", "skipped"].includes(state));
  return { state: isComplete ? "succeeded" : "incomplete" };
}
