import { Citadel } from "../../../providers/citadel/client.ts";
import { assertSees } from "../../../providers/citadel/visibility.ts";
import { PROJECTS_GROUP } from "../../../core/citadel.ts";
import { type Look, standing } from "../look.ts";

/** The environment, with its logs. */
export const citadel: Look = {
  system: "citadel",
  what: ({ slug }) => `environment ${slug}`,
  async at({ slug, owner, settings }) {
    const client = new Citadel();
    const organization = settings.citadelOrganization;
    const found = await client.environments.find(slug, organization);
    if (!found) {
      await assertSees(client, { organization, group: PROJECTS_GROUP });
      return [];
    }
    return [{ what: `environment ${found.id}`, why: standing(found.metadata, owner) }];
  },
};
