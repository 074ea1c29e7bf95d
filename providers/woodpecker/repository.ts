import type * as pulumi from "@pulumi/pulumi";
import { z } from "zod";
import { define } from "../dynamic/definition.ts";
import { dynamicProvider } from "../dynamic/provider.ts";
import { type Args, DynamicResource } from "../dynamic/resource.ts";
import { Woodpecker, type WoodpeckerRepository } from "./client.ts";

const definition = define({
  module: "woodpecker/repository",
  type: "woodpecker:Repository",
  noun: "Woodpecker repository",
  inputs: z.object({
    /** As the forge names it: `<organization>/<name>`. */
    fullName: z.string().regex(/^[^/]+\/[^/]+$/, "is not <organization>/<name>"),
    /** The forge's number for it. */
    forgeRemoteId: z.int().min(1),
  }),
  attributes: z.object({
    /** Woodpecker's own number. */
    repositoryId: z.int(),
    /** For a person's browser. */
    url: z.string(),
  }),
  replaceOn: ["fullName", "forgeRemoteId"],
  secrets: [],

  connect: () => new Woodpecker(),

  // Woodpecker has no place for a mark. The forge's number serves: that repository carries ours.
  async find(woodpecker, { fullName, forgeRemoteId }) {
    const found = await woodpecker.repository(fullName);
    return (
      found && { id: String(found.id), ownership: isOf(found, forgeRemoteId) ? "ours" : "others" }
    );
  },

  async create(woodpecker, { forgeRemoteId }) {
    return String((await woodpecker.activate(forgeRemoteId)).id);
  },

  async apply(woodpecker, id, { fullName, forgeRemoteId }) {
    const found = await woodpecker.repository(fullName);
    if (!found?.active) await woodpecker.activate(forgeRemoteId);
    return { repositoryId: Number(id), url: `${woodpecker.url}/repos/${id}` };
  },

  async read(woodpecker, id, { fullName, forgeRemoteId }) {
    const found = await woodpecker.repository(fullName);
    // Deactivated by hand, it is made anew: `create` adopts it and activates it.
    if (!found?.active || String(found.id) !== id || !isOf(found, forgeRemoteId)) return undefined;
    return { url: `${woodpecker.url}/repos/${id}` };
  },

  async delete(woodpecker, id) {
    await woodpecker.remove(Number(id));
  },
});

function isOf(repository: WoodpeckerRepository, forgeRemoteId: number): boolean {
  return repository.forge_remote_id === String(forgeRemoteId);
}

export const provider = dynamicProvider(definition);

/** A repository that Woodpecker builds. Delete deactivates it, with its secrets and pipelines. */
export class Repository extends DynamicResource<typeof definition> {
  declare readonly repositoryId: pulumi.Output<number>;
  declare readonly url: pulumi.Output<string>;

  constructor(name: string, args: Args<typeof definition>, options?: pulumi.CustomResourceOptions) {
    super(definition, name, args, options);
  }
}
