/** The states of pipelines, workflows and steps; in a merge the first one wins (server/pipeline/status.go). */
export const STATES = [
  "declined",
  "blocked",
  "created",
  "error",
  "killed",
  "canceled",
  "running",
  "pending",
  "failure",
  "success",
  "skipped",
] as const;

export type State = (typeof STATES)[number];

const FAILING: readonly State[] = ["error", "killed", "failure"];

/** A step, or a workflow. */
interface Part {
  readonly state: State;
}

/** A workflow's state once its steps are done. A failure that is ignored does not count. */
export function workflowState<Step extends Part>(
  steps: readonly Step[],
  isIgnored: (step: Step) => boolean,
): State {
  return pipelineState(steps.filter((step) => !isIgnored(step) || !FAILING.includes(step.state)));
}

/** A pipeline's state once its workflows are done. */
export function pipelineState(parts: readonly Part[]): State {
  return merge(parts.map(({ state }) => state));
}

function merge(states: readonly State[]): State {
  return states.reduce<State>((merged, next) => {
    if (merged === "canceled" && next === "canceled") return "canceled";
    // What ran before it was cancelled counts as killed.
    const [one, other] = [merged, next].map((state) => (state === "canceled" ? "killed" : state));
    return STATES.find((state) => state === one || state === other) ?? merged;
  }, "success");
}
