import { registryPath, repositoryOf } from "../../core/registry.ts";
import { type LeftoverProbe, leftOrNotOurs, type ProbedProject } from "../leftover-probe.ts";
import { Registry } from "./client.ts";
import { markPath, readMark } from "./mark.ts";

/** Finds the path. Its mark is stored elsewhere, and a delete removes it last. */
export const leftovers: LeftoverProbe = {
  describe: (project) => `path ${pathOf(project)}`,
  async find(project) {
    const found = await findPath(project);
    if (!found) return [];
    const { path, mark, tags } = found;
    const content = tags.length > 0 ? `with the tags ${tags.join(" ")}` : "with its mark alone";
    return [{ what: `path ${path}, ${content}`, why: leftOrNotOurs(mark, project.owner) }];
  },
};

/** The path with its mark and its tags. Undefined if it has neither, and the account would see them. */
export async function findPath(project: ProbedProject) {
  const path = pathOf(project);
  const client = new Registry();
  const mark = await readMark(client, path, project.slug);
  const tags = await client.tags(path);
  if (mark || tags.length > 0) return { path, mark, tags };
  // "Not found" counts only if the account would see the path: some registries hide it.
  await client.assertWritable(markPath(path));
  return undefined;
}

export function pathOf({ slug, settings }: ProbedProject): string {
  return repositoryOf(registryPath(settings.registry), slug);
}
