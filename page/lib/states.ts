import { html } from "htm/preact";
import type { VNode } from "preact";
import type { DriftState } from "../../core/drift.ts";
import type { OperationState } from "../../core/operation.ts";
import type { ProjectResource } from "../../core/resources.ts";
import type { ProjectStatus, ProjectView } from "../../automation/service/schemas/project.ts";
import { badge, type Tone } from "./parts.ts";

const STATUS_TONES: Readonly<Record<ProjectStatus, Tone>> = {
  ready: "good",
  changing: "busy",
  deleting: "busy",
  incomplete: "bad",
  "half-deleted": "bad",
  deleted: "calm",
  unknown: "calm",
};

/** The status, and whether the project is stopped or will be. */
export function statusBadge({ status, settings }: Pick<ProjectView, "status" | "settings">): VNode {
  const isStopped = settings.stopped === true && status !== "deleted";
  return html`${badge(STATUS_TONES[status], status)} ${isStopped && badge("calm", "stopped")}`;
}

const OPERATION_TONES: Readonly<Record<OperationState, Tone>> = {
  queued: "calm",
  running: "busy",
  cancelling: "busy",
  succeeded: "good",
  failed: "bad",
  cancelled: "warn",
};

export const OPERATION_STATES = Object.keys(OPERATION_TONES) as OperationState[];

export function operationBadge(state: OperationState): VNode {
  return badge(OPERATION_TONES[state], state);
}

const RESOURCE_TONES: Readonly<Record<ProjectResource["state"], Tone>> = {
  failed: "bad",
  unfinished: "bad",
  missing: "bad",
  differs: "warn",
  working: "busy",
  ok: "good",
};

export function resourceBadge(state: ProjectResource["state"]): VNode {
  return badge(RESOURCE_TONES[state], state);
}

const DRIFT_TONES: Readonly<Record<DriftState, Tone>> = {
  unchecked: "calm",
  clean: "good",
  drifted: "warn",
  failed: "bad",
};

export function driftBadge(state: DriftState): VNode {
  return badge(DRIFT_TONES[state], state === "failed" ? "check failed" : state);
}

export function isOpen(state: OperationState): boolean {
  return state === "queued" || state === "running" || state === "cancelling";
}

/** Whether a person can still ask for the end of an operation. */
export function isCancellable(state: OperationState): boolean {
  return isOpen(state) && state !== "cancelling";
}
