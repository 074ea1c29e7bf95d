import type { EngineEvent, StepEventStateMetadata } from "@pulumi/pulumi/automation/index.js";
import type { State, Step } from "../../core/previews/step.ts";

/**
 * What the engine is about to do to a resource; undefined for every other event. A refresh knows what
 * differs only after it has read the resource, so its steps come from the event after that.
 */
export function toStep(event: EngineEvent, isRefresh: boolean): Step | undefined {
  const source = isRefresh ? event.resOutputsEvent : event.resourcePreEvent;
  if (!source) return undefined;
  const { op, urn, type, old, new: next, keys, detailedDiff } = source.metadata;
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
