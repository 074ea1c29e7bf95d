import { Gitea } from "../../../providers/gitea/client.ts";
import { isMarked } from "../../../providers/gitea/mark.ts";
import { left, type Look, type Place } from "../look.ts";

/** The repository; archived, where that was asked for, it is retained. */
export const gitea: Look = {
  system: "gitea",
  what,
  async at(place) {
    const { slug, settings, retainRepository } = place;
    const found = await new Gitea().repository(settings.gitOrganization, slug);
    if (!found || !isMarked(found, slug)) return [];
    if (retainRepository && found.archived) {
      return [{ what: `${what(place)}, archived`, why: "retained" }];
    }
    return left(what(place));
  },
};

function what({ slug, settings }: Place): string {
  return `repository ${settings.gitOrganization}/${slug}`;
}
