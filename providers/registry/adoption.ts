import { ownershipOf, retainedMarkOf } from "../../core/ownership.ts";
import type { Adoption } from "../adoption.ts";
import { Registry } from "./client.ts";
import { findPath, pathOf } from "./leftovers.ts";
import { pushMark, readMark } from "./mark.ts";

/** Keeps every image. The mark is an artifact at a path of its own. */
export const adoption: Adoption = {
  async find(project) {
    const found = await findPath(project);
    if (!found) return [];
    const { path, mark, tags } = found;
    const what = `path ${path} with ${tags.length} tags`;
    return [{ what, whose: ownershipOf(mark, project.owner), changes: [], problems: [] }];
  },

  async mark(project) {
    const path = pathOf(project);
    const client = new Registry();
    const mark = await readMark(client, path, project.slug);
    if (ownershipOf(mark, project.owner) !== "unmarked") return;
    if ((await client.tags(path)).length === 0) return;
    await pushMark(client, path, retainedMarkOf(project.owner));
  },
};
