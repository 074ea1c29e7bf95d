import { MANAGED_BY, type Mark } from "../../core/ownership.ts";
import { type MarkedFor, OWN_NAMESPACE } from "../../core/registry.ts";
import type { Registry } from "./client.ts";

/** The tag of a mark. A registry cannot store a mark elsewhere, so retention rules must keep it. */
export const MARK = MANAGED_BY;

const MARK_TYPE = "application/vnd.rdev-infra.mark.v1";

/** Writes the mark of a repository. */
export async function pushMark(registry: Registry, repository: string, mark: Mark): Promise<void> {
  await registry.pushEmpty(markPath(repository), MARK, MARK_TYPE, mark);
}

/** The path of a repository's mark, where no pipeline can write. */
export function markPath(repository: string): string {
  return `${OWN_NAMESPACE}/marks/${repository}`;
}

/** The mark of a project's repository. Earlier versions stored it at the path `slug`. */
export async function readMark(
  registry: Registry,
  repository: string,
  slug: string,
): Promise<Mark | undefined> {
  return (await registry.annotations(markPath(repository), MARK)) ?? markBefore(registry, slug);
}

/**
 * The mark that earlier versions stored among the project's own images, without a prefix. A pipeline
 * could have written it, so only its project name counts, and only if there is no current mark.
 */
export async function markBefore(registry: Registry, slug: string): Promise<Mark | undefined> {
  const mark = await registry.annotations(slug, MARK);
  const { project } = mark ?? {};
  if (mark?.["managed-by"] !== MANAGED_BY || project === undefined) return undefined;
  if (await registry.annotations(markPath(slug), MARK)) return undefined;
  return { "managed-by": MANAGED_BY, project };
}

/** The project in a repository's mark. */
export async function markedFor(
  registry: Registry,
  repository: string,
): Promise<MarkedFor | undefined> {
  const mark = await registry.annotations(markPath(repository), MARK);
  const { platform, project } = mark ?? {};
  if (mark?.["managed-by"] !== MANAGED_BY || !platform || !project) return undefined;
  return { platform, slug: project };
}
