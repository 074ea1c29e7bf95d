import { connectionSecrets } from "../../core/connections.ts";
import { type DriftFinding, type FixPolicy, isPermitted } from "../../core/drift.ts";
import { driftOf } from "../../core/drift-finding.ts";
import { InfraError, problems } from "../../core/errors.ts";
import type { Outcome } from "../../core/operation.ts";
import type { Step } from "../../core/previews/step.ts";
import { count } from "../../core/previews/text.ts";
import type { PreviewOptions } from "../engine/options.ts";
import { preview } from "../engine/stack.ts";
import { withAuthors } from "./who.ts";

interface Look {
  readonly outcome: Outcome;
  /** Unset if the look failed; the outcome says why. */
  readonly drift?: DriftFinding;
  /** How many objects an `up` would change, for whatever reason. */
  readonly planned: number;
}

/** Looks for what others changed on the servers. Changes nothing, neither there nor in the state. Never throws. */
export async function lookForDrift(stack: string, options: PreviewOptions): Promise<Look> {
  const refreshed: Step[] = [];
  const steps: Step[] = [];
  const outcome = await preview(stack, {
    ...options,
    refresh: true,
    onRefreshed: (step) => refreshed.push(step),
    onStep: (step) => steps.push(step),
  });
  if (outcome.result !== "succeeded") return { outcome, planned: 0 };
  const { changes, fixableBy, planned } = driftOf(refreshed, steps, connectionSecrets());
  const drift = { changes: await withAuthors(changes, refreshed), fixableBy };
  return { outcome, drift, planned };
}

/**
 * The error if a fix would do more than the policy permits. Somebody may have taken the drift back meanwhile:
 * then an `up` may change nothing, because a newer version of the program is not drift.
 */
export function refusalOfFix(
  slug: string,
  policy: FixPolicy,
  { changes, fixableBy }: DriftFinding,
  planned: number,
): InfraError | undefined {
  if (planned === 0 || isPermitted(policy, fixableBy)) return undefined;
  if (changes.length === 0) {
    const objects = count(planned, "object", "objects");
    return new InfraError(
      "RDEV_DRIFT",
      `Nothing that others changed in "${slug}" is left, but an up would change ${objects}. If you want ` +
        `that, bring it up by hand: rdev-infra drift fix ${slug}.`,
    );
  }
  return problems(
    "RDEV_DRIFT",
    `What others changed in "${slug}" needs more than the policy "${policy}" permits. Look at it, then fix ` +
      `it by hand: rdev-infra drift fix ${slug}. These differ:`,
    changes.map(
      ({ type, name, op }) => `${type} ${name} (${op === "delete" ? "gone" : "changed"})`,
    ),
  );
}
