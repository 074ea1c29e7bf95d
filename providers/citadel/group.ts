import { z } from "zod";
import { define } from "../dynamic/definition.ts";
import { dynamicProvider } from "../dynamic/provider.ts";
import { dynamicResource } from "../dynamic/resource.ts";
import { Citadel } from "./client.ts";

/** The id of a resource that created nothing because Citadel is switched off. */
export const DISABLED = "disabled";

const definition = define({
  module: "citadel/group",
  type: "citadel:Group",
  noun: "Citadel tenant group",
  inputs: z.object({
    name: z.string().min(1),
    /** If false, nothing is created and Citadel is not called. */
    enabled: z.boolean(),
  }),
  attributes: z.object({}),
  replaceOn: ["name", "enabled"],
  secrets: [],

  // Created only when used, because without Citadel its variables may be missing.
  connect: () => () => new Citadel(),

  async find(citadel, { name, enabled }) {
    // A group has no content of its own, so one that was made by hand is adopted.
    return enabled && (await citadel().groups.members(name))
      ? { id: name, ownership: "ours" }
      : undefined;
  },

  async create(citadel, { name, enabled }) {
    if (!enabled) return DISABLED;
    await citadel().groups.put(name);
    return name;
  },

  async apply(citadel, _id, { name, enabled }) {
    if (enabled) await citadel().groups.put(name);
    return {};
  },

  async read(citadel, _id, { name, enabled }) {
    return !enabled || (await citadel().groups.members(name)) ? {} : undefined;
  },

  async delete() {
    // Citadel's API cannot delete a group.
  },
});

export const provider = dynamicProvider(definition);

/** A tenant group in Citadel. Delete leaves it, empty, because Citadel's API cannot delete a group. */
export class Group extends dynamicResource(definition) {}
