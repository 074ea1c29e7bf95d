import { difference } from "../../core/adoption.ts";
import { ownershipOf, retainedMarkOf } from "../../core/ownership.ts";
import type { Adoption } from "../adoption.ts";
import { Citadel } from "./client.ts";
import { findEnvironment } from "./leftovers.ts";

/** Keeps the environment with its id and its logs. */
export const adoption: Adoption = {
  async find(project) {
    const found = await findEnvironment(project);
    if (!found) return [];
    const { name, owner } = project;
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
