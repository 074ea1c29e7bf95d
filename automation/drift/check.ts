import { connectionSecrets } from "../../core/connections.ts";
import { type DriftFinding, type FixPolicy, isPermitted } from "../../core/drift.ts";
import { driftOf } from "../../core/drift-finding.ts";
import { type InfraError, problems } from "../../core/errors.ts";
import type { Outcome } from "../../core/operation.ts";
import type { Step } from "../../core/previews/step.ts";
import type { PreviewOptions } from "../engine/options.ts";
import { preview } from "../engine/stack.ts";
import { withAuthors } from "./who.ts";

/** Unset if the look failed; the outcome says why. */
interface Look {
  readonly outcome: Outcome;
  readonly drift?: DriftFinding;
}

/** Looks for what others changed on the servers. Changes nothing, neither there nor in the state. Never throws. */
export async function lookForDrift(stack: string, options: PreviewOptions): Promise<Look> {
  const refreshed: Step[] = [];
  const planned: Step[] = [];
  const outcome = await preview(stack, {
    ...options,
    refresh: true,
    onRefreshed: (step) => refreshed.push(step),
    onStep: (step) => planned.push(step),
  });
  if (outcome.result !== "succeeded") return { outcome };
  const { changes, fixableBy } = driftOf(refreshed, planned, connectionSecrets());
  return { outcome, drift: { changes: await withAuthors(changes, refreshed), fixableBy } };
}

/** The error if a fix would do more than the policy permits. */
export function refusalOfFix(
  slug: string,
  policy: FixPolicy,
  { changes, fixableBy }: DriftFinding,
): InfraError | undefined {
  if (changes.length === 0 || isPermitted(policy, fixableBy)) return undefined;
  return problems(
    "RDEV_DRIFT",
    `What others changed in "${slug}" needs more than the policy "${policy}" permits. Look at it, then fix ` +
      `it by hand: rdev-infra drift fix ${slug}. These differ:`,
    changes.map(
      ({ type, name, op }) => `${type} ${name} (${op === "delete" ? "gone" : "changed"})`,
    ),
  );
}
