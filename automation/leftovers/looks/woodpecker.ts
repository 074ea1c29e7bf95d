import { Gitea } from "../../../providers/gitea/client.ts";
import { isMarked } from "../../../providers/gitea/mark.ts";
import { Woodpecker } from "../../../providers/woodpecker/client.ts";
import { left, type Look, type Place } from "../look.ts";

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
    const { slug, settings } = place;
    const onForge = await new Gitea().repository(settings.gitOrganization, slug);
    const isStrangers =
      onForge && String(onForge.id) === found.forge_remote_id && !isMarked(onForge, slug);
    return isStrangers ? [] : left(`repository ${found.full_name} (number ${found.id})`);
  },
};

function fullName({ slug, settings }: Place): string {
  return `${settings.gitOrganization}/${slug}`;
}
