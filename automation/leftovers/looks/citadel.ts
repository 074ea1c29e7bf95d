import { isOwnedBy } from "../../../core/ownership.ts";
import { Citadel } from "../../../providers/citadel/client.ts";
import { left, type Look } from "../look.ts";

/** The environment, with its logs. */
export const citadel: Look = {
  system: "citadel",
  what: ({ slug }) => `environment ${slug}`,
  async at({ slug, settings }) {
    const found = await new Citadel().environments.find(slug, settings.citadelOrganization);
    return found && isOwnedBy(found.metadata, slug) ? left(`environment ${found.id}`) : [];
  },
};
