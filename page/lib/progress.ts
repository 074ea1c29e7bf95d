import type {
  NumberedEventView,
  OperationView,
} from "../../automation/service/schemas/operation.ts";

/** A resource in an operation. */
export interface Step {
  readonly urn: string;
  readonly type: string;
  readonly name: string;
  readonly op: string;
  readonly isGroup: boolean;
  readonly state: "working" | "done" | "failed";
  /** In ms since the operation's first event. */
  readonly startMs: number;
  /** Undefined while it works. */
  readonly durationMs: number | undefined;
  readonly changed: readonly string[];
}

export interface Message {
  readonly number: number;
  readonly severity: "info" | "warning" | "error";
  readonly text: string;
}

/** The state of an operation by its events so far. */
export interface Progress {
  /** The number of the last event. */
  readonly last: number;
  /** The time of the first event, in ms since 1970. */
  readonly startedAt: number | undefined;
  readonly state: OperationView["state"];
  readonly attempts: number;
  readonly steps: ReadonlyMap<string, Step>;
  readonly messages: readonly Message[];
}

export const NO_PROGRESS: Progress = {
  last: 0,
  startedAt: undefined,
  state: "queued",
  attempts: 0,
  steps: new Map(),
  messages: [],
};

/**
 * Adds events in their order. One that is known already is left out, so that a connection which repeats
 * events doubles no line.
 */
export function addEvents(progress: Progress, events: readonly NumberedEventView[]): Progress {
  let { last, startedAt, state, attempts } = progress;
  const steps = new Map(progress.steps);
  const messages = [...progress.messages];
  for (const { number, at, event } of events) {
    if (number <= last) continue;
    last = number;
    const time = Date.parse(at);
    startedAt ??= time;
    if (event.event === "state") {
      ({ state, attempts } = event);
    } else if (event.event === "diagnostic") {
      const { severity, message: text } = event;
      messages.push({ number, severity, text });
    } else if (event.event !== "summary") {
      const before = steps.get(event.urn);
      const { urn, type, name, component: isGroup, changed = before?.changed ?? [] } = event;
      const isDone = event.event !== "resourceStarted";
      const durationMs = isDone ? event.durationMs : undefined;
      const startMs = isDone
        ? (before?.startMs ?? time - startedAt - event.durationMs)
        : time - startedAt;
      steps.set(urn, {
        ...{ urn, type, name, isGroup, changed, durationMs, startMs: Math.max(0, startMs) },
        op: mainOp(before?.op, event.op),
        state: event.event === "resourceFailed" ? "failed" : isDone ? "done" : "working",
      });
    }
  }
  return { last, startedAt, state, attempts, steps, messages };
}

/** The engine reports a replacement in several steps; the resource is shown once. */
function mainOp(before: string | undefined, op: string): string {
  return before !== undefined && REPLACEMENT.has(before) && REPLACEMENT.has(op) ? "replace" : op;
}

const REPLACEMENT: ReadonlySet<string> = new Set([
  "replace",
  "create-replacement",
  "delete-replaced",
]);

/** Groups of a plan, the ones that lose data first. */
export const PLAN_GROUPS = ["delete", "replace", "update", "create", "same"] as const;
export type PlanGroup = (typeof PLAN_GROUPS)[number];

/** The resources of a preview by what would happen to them, without groups of resources. */
export function planOf({ steps }: Progress): ReadonlyMap<PlanGroup, readonly Step[]> {
  const plan = new Map<PlanGroup, Step[]>();
  for (const step of steps.values()) {
    if (step.isGroup || step.type.startsWith("pulumi:")) continue;
    const group = GROUP_OF[step.op] ?? "same";
    plan.set(group, [...(plan.get(group) ?? []), step]);
  }
  return plan;
}

const GROUP_OF: Readonly<Partial<Record<string, PlanGroup>>> = {
  create: "create",
  import: "create",
  update: "update",
  replace: "replace",
  "create-replacement": "replace",
  "delete-replaced": "replace",
  delete: "delete",
};

/** How many resources are done, failed and known. */
export function countSteps({ steps }: Progress): { done: number; failed: number; known: number } {
  const resources = [...steps.values()].filter(({ isGroup }) => !isGroup);
  const count = (state: Step["state"]) => resources.filter((step) => step.state === state).length;
  return { done: count("done"), failed: count("failed"), known: resources.length };
}

/** `gitea:Repository`, from `pulumi-nodejs:dynamic/gitea:Repository`. */
export function shortType(type: string): string {
  return type.replace(/^pulumi-nodejs:dynamic\//, "").replace(/^rdev:components:/, "");
}
