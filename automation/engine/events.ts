import type {
  EngineEvent,
  OpMap,
  StepEventMetadata,
  StepEventStateMetadata,
} from "@pulumi/pulumi/automation/index.js";
import { mask } from "../../core/engine-values.ts";
import type { Changes, OperationEvent, ResourceStep } from "../../core/operation.ts";
import type { State, Step } from "../../core/previews/step.ts";
import { SETTINGS_RECORD } from "../../core/recorded-settings.ts";
import { projectChanges, type ProjectChanges } from "../../core/settings.ts";
import {
  TEMPLATE_SEED,
  templateSeed,
  type TemplateSeedRecord,
} from "../../core/template-update.ts";
import { toError } from "./messages.ts";
import { cleanMessage } from "./quirks/cli-text.ts";

/**
 * The current activity, such as what a resource waits for. Shown on a terminal and never stored:
 * it is true for a moment only.
 */
export interface Status {
  /** Absent where it is about the operation as a whole. */
  readonly urn?: string;
  readonly message: string;
}

/** Translates the engine's events of one operation, and keeps the stack's outputs and records. */
export class EventReader {
  /** The settings that a project's stack records, as soon as the state has them. */
  settings: ProjectChanges | undefined;
  /** What a project's stack records of its template, once the repository has its first commit. */
  template: TemplateSeedRecord | undefined;
  /** The stack's outputs, with secrets masked. */
  outputs: Readonly<Record<string, unknown>> = {};

  readonly #secrets: readonly string[];
  readonly #now: () => number;
  readonly #started = new Map<string, number>();
  readonly #start: number;

  constructor(secrets: readonly string[], now: () => number = Date.now) {
    this.#secrets = secrets;
    this.#now = now;
    this.#start = now();
  }

  /** Returns undefined for an event that only matters inside the engine. */
  read(raw: EngineEvent): OperationEvent | undefined {
    if (raw.resourcePreEvent) return this.#step("resourceStarted", raw.resourcePreEvent.metadata);
    if (raw.resOutputsEvent) return this.#step("resourceDone", raw.resOutputsEvent.metadata);
    if (raw.resOpFailedEvent) return this.#step("resourceFailed", raw.resOpFailedEvent.metadata);
    if (raw.diagnosticEvent) return this.#diagnostic(raw.diagnosticEvent);
    if (raw.summaryEvent) {
      const changes = countChanges(raw.summaryEvent.resourceChanges);
      return { event: "summary", changes, durationMs: this.#now() - this.#start };
    }
    return undefined;
  }

  /** What a resource waits for; undefined for every other event. */
  status({ diagnosticEvent }: EngineEvent): Status | undefined {
    if (!diagnosticEvent?.ephemeral || !diagnosticEvent.urn) return undefined;
    if (!diagnosticEvent.severity.startsWith("info")) return undefined;
    const message = cleanMessage(diagnosticEvent.message, this.#secrets);
    return message === "" ? undefined : { urn: diagnosticEvent.urn, message };
  }

  #step(
    event: "resourceStarted" | "resourceDone" | "resourceFailed",
    metadata: StepEventMetadata,
  ): OperationEvent | undefined {
    if (metadata.type.startsWith("pulumi:providers:")) return undefined;
    if (metadata.type === "pulumi:pulumi:Stack" && event === "resourceDone") {
      this.outputs = mask(metadata.new?.outputs ?? {}) as Record<string, unknown>;
    }
    if (metadata.type === SETTINGS_RECORD && event === "resourceDone") {
      const outputs = metadata.new?.outputs as Record<string, unknown> | undefined;
      this.settings = projectChanges.safeParse(outputs?.["settings"]).data ?? this.settings;
    }
    if (metadata.type === TEMPLATE_SEED && event === "resourceDone") {
      const outputs = metadata.new?.outputs as Record<string, unknown> | undefined;
      this.template = templateSeed.safeParse(outputs?.["record"]).data ?? this.template;
    }
    const state = metadata.new ?? metadata.old;
    const changed = changedProperties(metadata);
    const step: ResourceStep = {
      urn: metadata.urn,
      type: metadata.type,
      name: metadata.urn.split("::").slice(3).join("::"),
      op: metadata.op,
      component: state?.custom !== true,
      ...(changed.length > 0 && { changed }),
    };
    if (event === "resourceStarted") {
      this.#started.set(metadata.urn, this.#now());
      return { event, ...step };
    }
    const durationMs = this.#now() - (this.#started.get(metadata.urn) ?? this.#now());
    return { event, ...step, durationMs };
  }

  #diagnostic({
    severity,
    urn,
    message,
    ephemeral,
  }: NonNullable<EngineEvent["diagnosticEvent"]>): OperationEvent | undefined {
    if (ephemeral) return undefined; // see status()
    // Debug messages contain secrets in plain text.
    if (severity !== "error" && severity !== "warning" && !severity.startsWith("info")) {
      return undefined;
    }
    const clean = cleanMessage(message, this.#secrets);
    if (clean === "") return undefined;
    return {
      event: "diagnostic",
      severity: severity === "info#err" ? "info" : severity,
      ...toError(clean, urn || undefined),
    };
  }
}

function countChanges(counts: OpMap): Changes {
  return {
    create: (counts.create ?? 0) + (counts.import ?? 0),
    update: counts.update ?? 0,
    replace: counts.replace ?? 0,
    delete: counts.delete ?? 0,
    same: (counts.same ?? 0) + (counts.refresh ?? 0),
  };
}

function changedProperties({ op, detailedDiff, diffs }: StepEventMetadata): string[] {
  if (op === "same" || op === "create" || op === "delete") return [];
  const paths = detailedDiff ? Object.keys(detailedDiff) : (diffs ?? []);
  return paths.filter((path) => path !== "__provider");
}

/**
 * What the engine is about to do to a resource; undefined for every other event. A refresh knows what
 * differs only after it has read the resource, so its steps come from the event after that.
 */
export function toStep(event: EngineEvent, isRefresh: boolean): Step | undefined {
  const source = isRefresh ? event.resOutputsEvent : event.resourcePreEvent;
  // An operation that reads the servers first announces that as a step, too: see `toRefreshed`.
  if (!source || (!isRefresh && source.metadata.op === "refresh")) return undefined;
  return stepOf(source.metadata);
}

function stepOf({ op, urn, type, old, new: next, keys, detailedDiff }: StepEventMetadata): Step {
  return {
    op,
    urn,
    type,
    custom: (next ?? old)?.custom === true,
    ...(old && { old: stateOf(old) }),
    ...(next && { new: stateOf(next) }),
    replaceKeys: keys ?? [],
    ...(detailedDiff && { detailedDiff }),
  };
}

/**
 * What a resource's server says, in an operation that reads the servers before it runs the program.
 * `new` is missing if the object is gone. Undefined for every other event.
 */
export function toRefreshed({ resOutputsEvent }: EngineEvent): Step | undefined {
  if (resOutputsEvent?.metadata.op !== "refresh") return undefined;
  return stepOf(resOutputsEvent.metadata);
}

function stateOf({ inputs, outputs }: StepEventStateMetadata): State {
  return { inputs: inputs ?? {}, outputs: outputs ?? {} };
}
