import type { EngineEvent, StepEventStateMetadata } from "@pulumi/pulumi/automation/index.js";
import type { State, Step } from "../../core/previews/step.ts";

/** What the engine is about to do to a resource; undefined for every other event. */
export function toStep({ resourcePreEvent }: EngineEvent): Step | undefined {
  if (!resourcePreEvent) return undefined;
  const { op, urn, type, old, new: next, keys, detailedDiff } = resourcePreEvent.metadata;
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

function stateOf({ inputs, outputs }: StepEventStateMetadata): State {
  return { inputs: inputs ?? {}, outputs: outputs ?? {} };
}
