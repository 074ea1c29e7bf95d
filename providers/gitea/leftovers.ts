import { markIn, ownershipOf } from "../../core/ownership.ts";
import {
  type Leftover,
  type LeftoverProbe,
  leftOrNotOurs,
  type ProbedProject,
} from "../leftover-probe.ts";
import { Gitea, type GiteaRepository } from "./client.ts";
import { isNotedAsRetained, makerOf } from "./provenance.ts";

/** Finds the repository. An archived one is retained where it was to be kept. */
export const leftovers: LeftoverProbe = {
  describe,
  async find(project) {
    const { slug, settings, retainRepository } = project;
    const client = new Gitea();
    const found = await client.repository(settings.gitOrganization, slug);
    if (!found) {
      const moved = await client.movedTo(settings.gitOrganization, slug);
      if (moved !== undefined) {
        return [{ what: `repository ${moved}, before ${describe(project)}`, why: "not-ours" }];
      }
      await client.assertSeesAll(settings.gitOrganization);
      return [];
    }
    const why = await whyRepositoryIsThere(client, found, project);
    if (why === "left" && retainRepository && found.archived) {
      return [{ what: `${describe(project)}, archived`, why: "retained" }];
    }
    return [{ what: describe(project), why }];
  },
};

/** A mark can be copied, so it counts only if Gitea's own records confirm it. */
export async function whyRepositoryIsThere(
  client: Gitea,
  repository: GiteaRepository,
  { owner, settings: { gitOrganization } }: ProbedProject,
): Promise<Exclude<Leftover["why"], "retained">> {
  const mark = markIn(repository.description);
  const why = leftOrNotOurs(mark, owner);
  if (why === "not-ours") return why;
  const isProven =
    ownershipOf(mark, owner) === "retained"
      ? await isNotedAsRetained(client, gitOrganization, repository, owner)
      : (await makerOf(client, gitOrganization, repository)) !== "others";
  return isProven ? "left" : "not-ours";
}

function describe({ slug, settings }: ProbedProject): string {
  return `repository ${settings.gitOrganization}/${slug}`;
}
