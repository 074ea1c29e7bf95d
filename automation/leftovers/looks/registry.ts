import { Registry } from "../../../providers/registry/client.ts";
import { MARK } from "../../../providers/registry/mark.ts";
import { type Look, standing } from "../look.ts";

/** The path. Its mark is the last that a delete takes away. */
export const registry: Look = {
  system: "registry",
  what: ({ slug }) => `path ${slug}`,
  async at({ slug, owner }) {
    const client = new Registry();
    const mark = await client.annotations(slug, MARK);
    const tags = await client.tags(slug);
    if (!mark && tags.length === 0) return [];
    return [{ what: `path ${slug}, with the tags ${tags.join(" ")}`, why: standing(mark, owner) }];
  },
};
