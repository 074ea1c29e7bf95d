import type * as pulumi from "@pulumi/pulumi";
import { z } from "zod";
import { define } from "../dynamic/definition.ts";
import { dynamicProvider } from "../dynamic/provider.ts";
import { type Args, DynamicResource } from "../dynamic/resource.ts";
import { Citadel } from "./client.ts";
import { DISABLED } from "./disabled.ts";

const definition = define({
  module: "citadel/group",
  type: "citadel:Group",
  noun: "Citadel tenant group",
  inputs: z.object({
    name: z.string().min(1),
    /** When not, nothing is made and Citadel is not spoken to. */
    enabled: z.boolean(),
  }),
  attributes: z.object({}),
  replaceOn: ["name", "enabled"],
  secrets: [],

  // Opened only when used: without Citadel its variables need not be there.
  connect: () => () => new Citadel(),

  async find(citadel, { name, enabled }) {
    // A group holds nothing of its own, so that one made by hand is as good.
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
    // Citadel's API deletes no group.
  },
});

export const provider = dynamicProvider(definition);

/** A tenant group in Citadel. Delete leaves it: Citadel's API deletes no group, and it is empty then. */
export class Group extends DynamicResource<typeof definition> {
  constructor(name: string, args: Args<typeof definition>, options?: pulumi.CustomResourceOptions) {
    super(definition, name, args, options);
  }
}
