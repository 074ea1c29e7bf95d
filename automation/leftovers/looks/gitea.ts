import { markIn, ownershipOf } from "../../../core/ownership.ts";
import { Gitea, type GiteaRepository } from "../../../providers/gitea/client.ts";
import { isNotedAsRetained, makerOf } from "../../../providers/gitea/provenance.ts";
import { type Look, type Place, standing } from "../look.ts";

/** The repository; archived, where that was asked for, it is retained. */
export const gitea: Look = {
  system: "gitea",
  what,
  async at(place) {
    const { slug, settings, retainRepository } = place;
    const client = new Gitea();
    const found = await client.repository(settings.gitOrganization, slug);
    if (!found) {
      const moved = await client.movedTo(settings.gitOrganization, slug);
      if (moved !== undefined) {
        return [{ what: `repository ${moved}, before ${what(place)}`, why: "not-ours" }];
      }
      await client.assertSeesAll(settings.gitOrganization);
      return [];
    }
    const why = await repositoryStanding(client, found, place);
    if (why === "left" && retainRepository && found.archived) {
      return [{ what: `${what(place)}, archived`, why: "retained" }];
    }
    return [{ what: what(place), why }];
  },
};

/** Whether a repository is still the project's: a copied mark makes it none of ours. */
export async function repositoryStanding(
  client: Gitea,
  repository: GiteaRepository,
  { owner, settings: { gitOrganization } }: Place,
): Promise<"left" | "not-ours"> {
  const mark = markIn(repository.description);
  const why = standing(mark, owner);
  if (why === "not-ours") return why;
  const isProven =
    ownershipOf(mark, owner) === "retained"
      ? await isNotedAsRetained(client, gitOrganization, repository, owner)
      : (await makerOf(client, gitOrganization, repository)) !== "others";
  return isProven ? "left" : "not-ours";
}

function what({ slug, settings }: Place): string {
  return `repository ${settings.gitOrganization}/${slug}`;
}
