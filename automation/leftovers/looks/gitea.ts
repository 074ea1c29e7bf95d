import { Gitea } from "../../../providers/gitea/client.ts";
import { markIn } from "../../../core/ownership.ts";
import { type Look, type Place, standing } from "../look.ts";

/** The repository; archived, where that was asked for, it is retained. */
export const gitea: Look = {
  system: "gitea",
  what,
  async at(place) {
    const { slug, owner, settings, retainRepository } = place;
    const found = await new Gitea().repository(settings.gitOrganization, slug);
    if (!found) return [];
    const why = standing(markIn(found.description), owner);
    if (why === "left" && retainRepository && found.archived) {
      return [{ what: `${what(place)}, archived`, why: "retained" }];
    }
    return [{ what: what(place), why }];
  },
};

function what({ slug, settings }: Place): string {
  return `repository ${settings.gitOrganization}/${slug}`;
}
