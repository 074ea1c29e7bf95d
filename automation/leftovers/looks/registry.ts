import { isOwnedBy } from "../../../core/ownership.ts";
import { Registry } from "../../../providers/registry/client.ts";
import { MARK } from "../../../providers/registry/mark.ts";
import { left, type Look } from "../look.ts";

/** The path. Its mark is the last that a delete takes away. */
export const registry: Look = {
  system: "registry",
  what: ({ slug }) => `path ${slug}`,
  async at({ slug }) {
    const client = new Registry();
    const mark = await client.annotations(slug, MARK);
    if (!isOwnedBy(mark, slug)) return [];
    return left(`path ${slug}, with the tags ${(await client.tags(slug)).join(" ")}`);
  },
};
