import { InfraError, problems } from "../../core/errors.ts";
import { count } from "../../core/previews/text.ts";
import type { RolloutRequest } from "../../core/rollout.ts";
import type { projectsInRollouts } from "./tables.ts";
import { type Candidate, existing, unmatched } from "./waves.ts";

/**
 * Throws RDEV_ROLLOUT if a pattern of the selection matches no project, if nothing is selected, or if a
 * canary is not. A pattern may match only projects that another condition leaves out.
 */
export function requireSelected(
  { select, canaries }: RolloutRequest,
  slugs: readonly string[],
  candidates: readonly Candidate[],
): void {
  const unknown = unmatched(
    select.slugs ?? [],
    existing(candidates).map(({ slug }) => slug),
  );
  if (unknown.length > 0) {
    throw problems(
      "RDEV_ROLLOUT",
      "The platform has no project with these slugs. Correct them, or leave them out:",
      unknown.map((pattern) => `"${pattern}"`),
    );
  }
  if (slugs.length === 0) {
    throw new InfraError(
      "RDEV_ROLLOUT",
      'The selection names no project. With "only": "outdated", projects that are at this version of the ' +
        "program are left out.",
    );
  }
  const missing = unmatched(canaries, slugs);
  if (missing.length === 0) return;
  throw problems(
    "RDEV_ROLLOUT",
    "These canaries are not among the selected projects:",
    missing.map((pattern) => `"${pattern}"`),
  );
}

/** How many projects an error names. */
const MAX_NAMED = 20;

export function inOtherRollouts(
  others: Awaited<ReturnType<typeof projectsInRollouts>>,
): InfraError {
  const more = others.length - MAX_NAMED;
  return problems(
    "RDEV_BUSY",
    "A project can be in one open rollout. Wait until these have ended, or cancel them:",
    [
      ...others
        .slice(0, MAX_NAMED)
        .map(
          ({ id, slug, state, actor }) => `"${slug}" is in rollout ${id} (${state}, by ${actor})`,
        ),
      ...(more > 0 ? [`and ${count(more, "more project")}`] : []),
    ],
  );
}
