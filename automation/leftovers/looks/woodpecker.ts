import { Gitea } from "../../../providers/gitea/client.ts";
import { markIn } from "../../../core/ownership.ts";
import { Woodpecker } from "../../../providers/woodpecker/client.ts";
import { type Look, type Place, standing } from "../look.ts";

/**
 * The repository, active or not: a delete makes Woodpecker forget it. Woodpecker has no place for a
 * mark, so it is a stranger's where it is of a repository on the forge that is a stranger's.
 */
export const woodpecker: Look = {
  system: "woodpecker",
  what: ({ slug, settings }) => `repository ${settings.gitOrganization}/${slug}`,
  async at(place) {
    const found = await new Woodpecker().repository(fullName(place));
    if (!found) return [];
    const { slug, owner, settings } = place;
    const onForge = await new Gitea().repository(settings.gitOrganization, slug);
    const isSame = onForge && String(onForge.id) === found.forge_remote_id;
    const why = isSame ? standing(markIn(onForge.description), owner) : "left";
    return [{ what: `repository ${found.full_name} (number ${found.id})`, why }];
  },
};

function fullName({ slug, settings }: Place): string {
  return `${settings.gitOrganization}/${slug}`;
}
