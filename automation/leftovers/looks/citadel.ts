import { Citadel } from "../../../providers/citadel/client.ts";
import { type Look, standing } from "../look.ts";

/** The environment, with its logs. */
export const citadel: Look = {
  system: "citadel",
  what: ({ slug }) => `environment ${slug}`,
  async at({ slug, owner, settings }) {
    const found = await new Citadel().environments.find(slug, settings.citadelOrganization);
    if (!found) return [];
    return [{ what: `environment ${found.id}`, why: standing(found.metadata, owner) }];
  },
};
