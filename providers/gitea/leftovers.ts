import { markIn } from "../../core/ownership.ts";
import {
  type Leftover,
  type LeftoverProbe,
  leftOrNotOurs,
  type ProbedProject,
} from "../leftover-probe.ts";
import { Gitea, type GiteaRepository } from "./client.ts";
import { confirmsMark } from "./provenance.ts";

/** Finds the repository. An archived one counts as retained if it was to be kept. */
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
  const why = leftOrNotOurs(markIn(repository.description), owner);
  if (why === "not-ours") return why;
  return (await confirmsMark(client, gitOrganization, repository, owner)) ? "left" : "not-ours";
}

export function describe({ slug, settings }: ProbedProject): string {
  return `repository ${settings.gitOrganization}/${slug}`;
}
