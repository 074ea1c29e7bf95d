import { difference } from "../../core/adoption.ts";
import { PROJECTS_GROUP } from "../../core/citadel.ts";
import { ownershipOf, retainedMarkOf } from "../../core/ownership.ts";
import type { Adoption } from "../adoption.ts";
import { assertSees, Citadel } from "./client.ts";

/** Keeps the environment with its id and its logs. */
export const adoption: Adoption = {
  async find({ slug, name, owner, settings }) {
    const client = new Citadel();
    const organization = settings.citadelOrganization;
    const found = await client.environments.find(slug, organization);
    if (!found) {
      await assertSees(client, { organization, group: PROJECTS_GROUP });
      return [];
    }
    return [
      {
        what: `environment ${found.id}`,
        whose: ownershipOf(found.metadata, owner),
        changes: difference("name", found.name, name),
        problems: [],
      },
    ];
  },

  async mark({ slug, owner, settings }) {
    const { environments } = new Citadel();
    const found = await environments.find(slug, settings.citadelOrganization);
    if (!found || ownershipOf(found.metadata, owner) !== "unmarked") return;
    await environments.mark(found.id, retainedMarkOf(owner));
  },
};
