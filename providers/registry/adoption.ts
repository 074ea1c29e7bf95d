import { ownershipOf, retainedMarkOf } from "../../core/ownership.ts";
import type { Adoption } from "../adoption.ts";
import { Registry } from "./client.ts";
import { pathOf } from "./leftovers.ts";
import { markPath, pushMark, readMark } from "./mark.ts";

/** Keeps every image. The mark is an artifact at a path of its own. */
export const adoption: Adoption = {
  async find(project) {
    const path = pathOf(project);
    const client = new Registry();
    const mark = await readMark(client, path, project.slug);
    const tags = await client.tags(path);
    if (!mark && tags.length === 0) {
      await client.assertWritable(markPath(path));
      return [];
    }
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
