import { compareText } from "../../core/previews/changes.ts";
import { hasLabels, type ProjectLabels } from "../../core/project-labels.ts";
import type { RolloutRequest, RolloutSelection } from "../../core/rollout.ts";
import type { ProjectStatus } from "../store/project-records.ts";

/** What a selection looks at. */
export interface Candidate {
  readonly slug: string;
  readonly status: ProjectStatus;
  readonly template: string;
  readonly labels: ProjectLabels;
  /** Whether its last `up` ran another version of the program than the service has. */
  readonly outdated: boolean;
}

/** Projects that are deleted, or may be half deleted: an `up` would create them again. */
const DELETED: readonly ProjectStatus[] = ["deleting", "half-deleted", "deleted"];

/** The candidates that a selection can name. */
export function existing(candidates: readonly Candidate[]): Candidate[] {
  return candidates.filter(({ status }) => !DELETED.includes(status));
}

/** The slugs that the selection names, sorted. */
export function selectSlugs(
  { only, slugs, template, labels = {} }: RolloutSelection,
  candidates: readonly Candidate[],
): string[] {
  const named = slugs?.map(matcher);
  return existing(candidates)
    .filter(
      (one) =>
        (only === "all" || one.outdated) &&
        (!named || named.some((matches) => matches(one.slug))) &&
        (template === undefined || one.template === template) &&
        hasLabels(one.labels, labels),
    )
    .map(({ slug }) => slug)
    .toSorted(compareText);
}

/** The patterns that match none of the slugs. */
export function unmatched(patterns: readonly string[], slugs: readonly string[]): string[] {
  return patterns.filter((pattern) => !slugs.some(matcher(pattern)));
}

/**
 * Divides the slugs into waves, none of them empty. The canaries come first, and the first wave has all
 * of them even if it is smaller otherwise. The others keep their order.
 */
export function planWaves(
  slugs: readonly string[],
  { waves, canaries }: Pick<RolloutRequest, "waves" | "canaries">,
): string[][] {
  const isCanary = (slug: string) => canaries.some((pattern) => matcher(pattern)(slug));
  const first = slugs.filter(isCanary);
  const rest = [...first, ...slugs.filter((slug) => !isCanary(slug))];
  const planned: string[][] = [];
  for (const [index, size] of [...waves, "rest"].entries()) {
    const least = index === 0 ? first.length : 0;
    const wave = rest.splice(0, Math.max(least, sizeOf(size, slugs.length)));
    if (wave.length > 0) planned.push(wave);
  }
  return planned;
}

/** `3`, `10%` or `rest`, as a number of projects. */
function sizeOf(size: string, total: number): number {
  if (size === "rest") return total;
  const number = Number.parseInt(size, 10);
  return size.endsWith("%") ? Math.ceil((total * number) / 100) : number;
}

/** Without a regular expression: a pattern with many `*` could take it very long. */
function matcher(pattern: string): (slug: string) => boolean {
  const [head = "", ...parts] = pattern.split("*");
  const tail = parts.pop();
  if (tail === undefined) return (slug) => slug === head;
  return (slug) => {
    if (!slug.startsWith(head)) return false;
    let from = head.length;
    for (const part of parts) {
      const at = slug.indexOf(part, from);
      if (at < 0) return false;
      from = at + part.length;
    }
    return slug.length - tail.length >= from && slug.endsWith(tail);
  };
}
