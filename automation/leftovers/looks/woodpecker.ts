import { Gitea } from "../../../providers/gitea/client.ts";
import { Woodpecker } from "../../../providers/woodpecker/client.ts";
import { assertSeesAll } from "../../../providers/woodpecker/visibility.ts";
import type { Look, Place } from "../look.ts";
import { repositoryStanding } from "./gitea.ts";

/**
 * The repository, active or not: a delete makes Woodpecker forget it. Woodpecker has no place for a
 * mark, so it is a stranger's where it is of a repository on the forge that is a stranger's.
 */
export const woodpecker: Look = {
  system: "woodpecker",
  what: ({ slug, settings }) => `repository ${settings.gitOrganization}/${slug}`,
  async at(place) {
    const { slug, settings } = place;
    const client = new Woodpecker();
    const found = await client.repository(fullName(place));
    if (!found) {
      await assertSeesAll(client, settings.gitOrganization);
      return [];
    }
    const forge = new Gitea();
    const onForge = await forge.repository(settings.gitOrganization, slug);
    const isSame = onForge && String(onForge.id) === found.forge_remote_id;
    const why = isSame ? await repositoryStanding(forge, onForge, place) : "left";
    return [{ what: `repository ${found.full_name} (number ${found.id})`, why }];
  },
};

function fullName({ slug, settings }: Place): string {
  return `${settings.gitOrganization}/${slug}`;
}
