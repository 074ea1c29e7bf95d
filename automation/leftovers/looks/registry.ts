import { registryPath, repositoryOf } from "../../../core/registry.ts";
import { Registry } from "../../../providers/registry/client.ts";
import { markPath, readMark } from "../../../providers/registry/mark.ts";
import { type Look, type Place, standing } from "../look.ts";

/** The path. Its mark, which lies elsewhere, is the last that a delete takes away. */
export const registry: Look = {
  system: "registry",
  what: (place) => `path ${pathOf(place)}`,
  async at(place) {
    const path = pathOf(place);
    const client = new Registry();
    const mark = await readMark(client, path, place.slug);
    const tags = await client.tags(path);
    if (!mark && tags.length === 0) {
      // The answer "not found" counts only from a registry that would show it.
      await client.assertWritable(markPath(path));
      return [];
    }
    const content = tags.length > 0 ? `with the tags ${tags.join(" ")}` : "with its mark alone";
    return [{ what: `path ${path}, ${content}`, why: standing(mark, place.owner) }];
  },
};

function pathOf({ slug, settings }: Place): string {
  return repositoryOf(registryPath(settings.registry), slug);
}
