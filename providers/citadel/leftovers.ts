import { PROJECTS_GROUP } from "../../core/citadel.ts";
import { type LeftoverProbe, leftOrNotOurs, type ProbedProject } from "../leftover-probe.ts";
import { assertSees, Citadel } from "./client.ts";

/** Finds the environment, with its logs. */
export const leftovers: LeftoverProbe = {
  describe: ({ slug }) => `environment ${slug}`,
  async find(project) {
    const found = await findEnvironment(project);
    if (!found) return [];
    return [{ what: `environment ${found.id}`, why: leftOrNotOurs(found.metadata, project.owner) }];
  },
};

/** Undefined if there is none, and the key would see it. */
export async function findEnvironment({ slug, settings }: ProbedProject) {
  const client = new Citadel();
  const organization = settings.citadelOrganization;
  const found = await client.environments.find(slug, organization);
  if (!found) await assertSees(client, { organization, group: PROJECTS_GROUP });
  return found;
}
