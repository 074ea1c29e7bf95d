import { z } from "zod";
import type { OperationEvent, OperationKind } from "./operation.ts";

/** The states of a resource, those that need attention first. */
export const RESOURCE_STATES = [
  "failed",
  "unfinished",
  "missing",
  "differs",
  "working",
  "ok",
] as const;

/** What the newest operations of a project say about one of its resources. */
export const projectResource = z.object({
  urn: z.string(),
  type: z.string().meta({ examples: ["pulumi-nodejs:dynamic/gitea:Repository"] }),
  name: z.string(),
  state: z.enum(RESOURCE_STATES).meta({
    description:
      "`failed`: its last step failed. `unfinished`: a step began and did not end. `missing`, `differs`: " +
      "a refresh found that others deleted or changed it. `working`: a step is under way.",
  }),
  op: z.string().meta({ description: "The last step.", examples: ["create"] }),
  changed: z.array(z.string()).optional().meta({ description: "The properties that differ." }),
  error: z.string().optional().meta({ description: "Why the step failed." }),
  operation: z.uuid().meta({ description: "The operation with the last step." }),
  at: z.string(),
});

export type ProjectResource = z.output<typeof projectResource>;

/** A resource's newest step. */
export interface LastStep {
  readonly operation: string;
  readonly kind: OperationKind;
  /** Whether the operation has not ended yet. */
  readonly isOpen: boolean;
  readonly at: Date;
  readonly step: Extract<OperationEvent, { readonly urn: string; readonly op: string }>;
  readonly error: string | null;
}

/** The resources that exist, those that need attention first, then by type and name. */
export function resourcesOf(steps: readonly LastStep[]): ProjectResource[] {
  return steps
    .filter(({ step }) => !step.component)
    .flatMap((last) => {
      const state = stateOf(last);
      if (state === undefined) return [];
      const { operation, at, step, error } = last;
      const { urn, type, name, op, changed } = step;
      return [
        {
          ...{ urn, type, name, state, op, operation, at: at.toISOString() },
          ...(changed && { changed }),
          ...(state === "failed" && error !== null && { error }),
        },
      ];
    })
    .sort((a, b) => {
      const byState = RESOURCE_STATES.indexOf(a.state) - RESOURCE_STATES.indexOf(b.state);
      return byState || compare(a.type, b.type) || compare(a.name, b.name);
    });
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Undefined if the resource is gone. */
function stateOf({ kind, isOpen, step }: LastStep): ProjectResource["state"] | undefined {
  if (step.event === "resourceFailed") return "failed";
  if (step.event === "resourceStarted") return isOpen ? "working" : "unfinished";
  if (kind === "refresh") {
    if (step.op === "delete") return "missing";
    return step.op === "update" ? "differs" : "ok";
  }
  return step.op === "delete" || step.op === "discard" ? undefined : "ok";
}
