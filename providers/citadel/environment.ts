import { isDeepStrictEqual } from "node:util";
import { z } from "zod";
import { InfraError } from "../../core/errors.ts";
import { markOf, NO_OWNER, type Owner, ownerSchema, ownershipOf } from "../../core/ownership.ts";
import { define, type Found } from "../dynamic/definition.ts";
import { dynamicProvider } from "../dynamic/provider.ts";
import { dynamicResource } from "../dynamic/resource.ts";
import { assertSees, Citadel } from "./client.ts";
import { DISABLED } from "./group.ts";

const definition = define({
  module: "citadel/environment",
  type: "citadel:Environment",
  noun: "Citadel environment",
  inputs: z.object({
    slug: z.string().min(1),
    /** The display name. */
    name: z.string().min(1),
    organization: z.string().min(1),
    owner: ownerSchema,
    /** The tenant group that it joins. It is created if it does not exist. */
    group: z.string().min(1),
    /** If false, nothing is created and Citadel is not called. */
    enabled: z.boolean(),
    /** Adopt the tenant that CITADEL_TENANT_ID names at creation, if it names one. */
    usePlatformTenant: z.boolean().default(false),
  }),
  attributes: z.object({
    /** A UUID, or empty if nothing was created. */
    tenantId: z.string(),
    /** The tenant existed before, so a delete keeps it. */
    adopted: z.boolean(),
  }),
  replaceOn: ["slug", "organization", "enabled", "usePlatformTenant"],
  secrets: [],

  // Created only when used, because without Citadel its variables may be missing.
  connect: () => () => new Citadel(),

  rules({ slug, enabled }, last) {
    if (enabled || last.enabled !== true) return [];
    const reason =
      `RDEV_CITADEL_OFF: the environment "${slug}" exists, and switching Citadel off would delete ` +
      "it with its logs. Set CITADEL_ENABLED=true again. If the logs may go, destroy the stack first " +
      "and then run up with CITADEL_ENABLED=false.";
    return [{ property: "enabled", reason }];
  },

  async find(citadel, wanted) {
    if (!wanted.enabled) return undefined;
    // Nobody can forge a tenant's id, so the id in the state is proof enough, whatever the metadata.
    if (wanted.tenantId) {
      const found = await citadel().environments.get(wanted.tenantId);
      return found && { id: found.id, ownership: "ours" };
    }
    const chosen = wanted.usePlatformTenant && citadel().platformTenant;
    if (chosen) return platformTenant(citadel(), chosen);
    return bySlug(citadel(), wanted);
  },

  async create(citadel, inputs) {
    if (!inputs.enabled) return DISABLED;
    const { slug, name, organization, owner } = inputs;
    const metadata = { ...markOf(owner) };
    try {
      return (await citadel().environments.create({ slug, name, organization, metadata })).id;
    } catch (error) {
      if (!(error instanceof InfraError) || error.status !== 409) throw error;
      // Somebody created it meanwhile. If that was an earlier run of this stack, it is ours.
      const found = await bySlug(citadel(), inputs);
      if (found?.ownership === "ours") return found.id;
      throw new InfraError(
        "RDEV_NOT_OURS",
        `The Citadel environment "${slug}" exists already and was not made for this project. ` +
          "It is left untouched. Choose another slug, or remove it yourself.",
      );
    }
  },

  async apply(citadel, id, { name, group, owner, enabled, usePlatformTenant }, last) {
    if (!enabled) return { tenantId: "", adopted: false };
    const adopted = last?.adopted ?? (usePlatformTenant && citadel().platformTenant === id);
    if (!adopted) {
      await citadel().environments.rename(id, name);
      // An environment from an earlier version, or from an interrupted create, has another mark.
      const isMarked = last && isDeepStrictEqual(last.owner, owner);
      if (!isMarked) await citadel().environments.mark(id, markOf(owner));
    }
    await citadel().groups.put(group);
    await citadel().groups.add(group, id);
    if (last?.group && last.group !== group) await citadel().groups.remove(last.group, id);
    return { tenantId: id, adopted };
  },

  async read(citadel, id, { name, group, owner, enabled, adopted }) {
    if (!enabled) return {};
    const [tenant, members] = await Promise.all([
      citadel().environments.get(id),
      citadel().groups.members(group),
    ]);
    return (
      tenant && {
        name: adopted ? name : tenant.name,
        group: members?.includes(id) ? group : "",
        owner: adopted || ownershipOf(tenant.metadata, owner) === "ours" ? owner : NO_OWNER,
      }
    );
  },

  async assertVisible(citadel, { enabled, organization, group }) {
    if (enabled) await assertSees(citadel(), { organization, group });
  },

  async delete(citadel, id, { group, adopted, usePlatformTenant }) {
    if (group) await citadel().groups.remove(group, id);
    // A create that failed half way stored no attributes.
    const stays = adopted ?? (usePlatformTenant && citadel().platformTenant === id);
    if (!stays) await citadel().environments.delete(id);
  },
});

/** The mark does not matter: the user named this tenant by its id. */
async function platformTenant(citadel: Citadel, id: string): Promise<Found> {
  if (await citadel.environments.get(id)) return { id, ownership: "ours" };
  throw new InfraError(
    "RDEV_CONNECTION",
    `CITADEL_TENANT_ID is ${id}, but Citadel has no such tenant. Correct it, or unset it to let ` +
      "rdev-infra create one.",
  );
}

async function bySlug(
  citadel: Citadel,
  { organization, slug, owner }: { organization: string; slug: string; owner: Owner },
): Promise<Found | undefined> {
  const found = await citadel.environments.find(slug, organization);
  return found && { id: found.id, ownership: ownershipOf(found.metadata, owner) };
}

export const provider = dynamicProvider(definition);

/**
 * A log environment in Citadel: a tenant that is a member of a tenant group. Delete ends the
 * membership and deletes the tenant with its logs. A tenant that CITADEL_TENANT_ID named is kept.
 */
export class Environment extends dynamicResource(definition) {}
