import { MANAGED_BY, type Mark } from "../../core/ownership.ts";
import { type MarkedFor, OWN_NAMESPACE } from "../../core/registry.ts";
import type { Registry } from "./client.ts";

/** The tag of a mark: a registry has no other place for one. Retention rules must keep it. */
export const MARK = MANAGED_BY;

/** Where the mark of a repository lies: no pipeline can write there. */
export function markPath(repository: string): string {
  return `${OWN_NAMESPACE}/marks/${repository}`;
}

/** The mark of a project's repository. `slug` is where the versions before left theirs. */
export async function readMark(
  registry: Registry,
  repository: string,
  slug: string,
): Promise<Mark | undefined> {
  return (await registry.annotations(markPath(repository), MARK)) ?? markBefore(registry, slug);
}

/**
 * The mark that the versions before left among the project's own images, below no prefix. A pipeline
 * could write it, so it counts for nothing but the project's name, and not beside a mark of today.
 */
export async function markBefore(registry: Registry, slug: string): Promise<Mark | undefined> {
  const mark = await registry.annotations(slug, MARK);
  const { project } = mark ?? {};
  if (mark?.["managed-by"] !== MANAGED_BY || project === undefined) return undefined;
  if (await registry.annotations(markPath(slug), MARK)) return undefined;
  return { "managed-by": MANAGED_BY, project };
}

/** The project that a repository is marked with. */
export async function markedFor(
  registry: Registry,
  repository: string,
): Promise<MarkedFor | undefined> {
  const mark = await registry.annotations(markPath(repository), MARK);
  const { platform, project } = mark ?? {};
  if (mark?.["managed-by"] !== MANAGED_BY || !platform || !project) return undefined;
  return { platform, slug: project };
}
