import { html } from "htm/preact";
import type { VNode } from "preact";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import type { Change } from "../../core/previews/model.ts";
import { useCancel } from "./action.ts";
import { announce } from "./announce.ts";
import { call } from "./api.ts";
import { countText } from "./format.ts";
import { problem } from "./parts.ts";
import { propertyChanges } from "./property-changes.ts";
import { PLAN_GROUPS, type PlanGroup, planOf, shortType, type Step } from "./progress.ts";
import { isCancellable, operationBadge } from "./states.ts";
import { useOperation } from "./use-operation.ts";

const TITLES: Readonly<Record<PlanGroup, string>> = {
  delete: "Deleted",
  replace: "Replaced",
  update: "Changed",
  create: "Created",
  same: "Unchanged",
};

export interface PlanProps {
  /** The id of a preview. */
  readonly id: string;
  /** Steps for which this is true are left out. */
  readonly isLeftOut?: (step: Step) => boolean;
  /** Called when the preview has succeeded. */
  readonly onReady: () => void;
  /** Called when there is no plan to wait for: the preview failed, is cancelled, or cannot be read. */
  readonly onFailure?: () => void;
}

/** Cancels a preview that nobody looks at, because the project's next operation would wait for it. */
export function abandonPreview(id: string): void {
  call("POST", `/v1/operations/${id}/cancel`).catch(() => undefined); // it ends by itself, but later
}

/**
 * The changes that an operation would make, from a preview that may still run. A person can
 * cancel it, and it is cancelled when the view leaves it before its end.
 */
export function Plan({
  id,
  isLeftOut = () => false,
  onReady,
  onFailure = () => undefined,
}: PlanProps): VNode {
  const { operation, progress, state, error } = useOperation(id);
  const { isBusy, error: refused, cancel } = useCancel(id);
  const mayCancel = isCancellable(state);
  useEffect(() => {
    if (state === "succeeded") onReady();
    else if (!mayCancel || error) onFailure();
    if (!mayCancel) announce(`Plan: ${state}`);
  }, [state, error]);
  const isLeftEarly = useRef(true);
  isLeftEarly.current = mayCancel;
  // An ordinary effect begins after the next paint, and a person may leave before it.
  useLayoutEffect(
    () => () => {
      if (isLeftEarly.current) abandonPreview(id);
    },
    [id],
  );
  const changes = new Map(operation?.outcome?.plan?.changes.map((change) => [change.urn, change]));
  const plan = planOf(progress);
  const groups = PLAN_GROUPS.filter((group) => group !== "same").flatMap((group) => {
    const steps = (plan.get(group) ?? []).filter((step) => !isLeftOut(step));
    if (steps.length === 0) return [];
    return [
      html`<h3>
          ${TITLES[group]} <span class="soft">${countText(steps.length, "resource")}</span>
        </h3>
        <ul class="objects">
          ${steps.map((step) => line(step, changes.get(step.urn)))}
        </ul>`,
    ];
  });
  const isEmpty = state === "succeeded" && groups.length === 0;
  return html`<section class="plan" aria-label="Plan">
    ${
      mayCancel &&
      html`<p>
        The plan is being made: ${operationBadge(state)}
        <button type="button" class="button" aria-disabled=${isBusy} onClick=${cancel}>
          Cancel the plan
        </button>
      </p>`
    }
    ${(state === "cancelling" || state === "cancelled") && html`<p>The plan: ${operationBadge(state)}</p>`}
    ${problem(refused ?? error)}
    ${operation?.outcome?.errors.map(
      ({ message, code }) =>
        html`<div class="problem" role="alert">
          <pre>${message}</pre>
          ${code && html`<code>${code}</code>`}
        </div>`,
    )}
    ${groups} ${isEmpty && html`<p>Nothing would change.</p>`}
  </section>`;
}

/** The events name the properties; the values come with the plan, at the end of the preview. */
function line({ urn, type, name, changed }: Step, change: Change | undefined): VNode {
  const values = change && propertyChanges(change);
  return html`<li key=${urn}>
    <code>${shortType(type)}</code> ${name}
    ${values ?? (changed.length > 0 && html`<span class="soft"> ${changed.join(", ")}</span>`)}
  </li>`;
}
