import { Gitea } from "../gitea/client.ts";
import { whyRepositoryIsThere } from "../gitea/leftovers.ts";
import type { LeftoverProbe, ProbedProject } from "../leftover-probe.ts";
import { assertSeesAll, Woodpecker } from "./client.ts";

/**
 * Finds the repository, active or not: a delete makes Woodpecker forget it. Woodpecker cannot store a
 * mark, so the repository on Gitea decides whose it is.
 */
export const leftovers: LeftoverProbe = {
  describe: (project) => `repository ${fullName(project)}`,
  async find(project) {
    const { slug, settings } = project;
    const client = new Woodpecker();
    const found = await client.repository(fullName(project));
    if (!found) {
      await assertSeesAll(client, settings.gitOrganization);
      return [];
    }
    const gitea = new Gitea();
    const onGitea = await gitea.repository(settings.gitOrganization, slug);
    const isSame = onGitea && String(onGitea.id) === found.forge_remote_id;
    const why = isSame ? await whyRepositoryIsThere(gitea, onGitea, project) : "left";
    return [{ what: `repository ${found.full_name} (number ${found.id})`, why }];
  },
};

export function fullName({ slug, settings }: ProbedProject): string {
  return `${settings.gitOrganization}/${slug}`;
}
