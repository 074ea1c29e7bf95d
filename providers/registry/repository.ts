import type * as pulumi from "@pulumi/pulumi";
import { z } from "zod";
import { markOf, ownerSchema, ownershipOf } from "../../core/ownership.ts";
import { define } from "../dynamic/definition.ts";
import { dynamicProvider } from "../dynamic/provider.ts";
import { type Args, DynamicResource } from "../dynamic/resource.ts";
import { Registry } from "./client.ts";
import { MARK } from "./mark.ts";

const MARK_TYPE = "application/vnd.rdev-infra.mark.v1";

const definition = define({
  module: "registry/repository",
  type: "registry:Repository",
  noun: "registry path",
  inputs: z.object({
    /** Below the registry's host, as `my-app` or `rdev/my-app`. */
    path: z
      .string()
      // The distribution specification's own rule.
      .regex(
        /^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$/,
        "is no repository name of an OCI registry",
      ),
    owner: ownerSchema,
  }),
  attributes: z.object({}),
  replaceOn: ["path"],
  secrets: [],

  connect: () => new Registry(),

  async find(registry, { path, owner }) {
    const mark = await registry.annotations(path, MARK);
    if (mark) return { id: path, ownership: ownershipOf(mark, owner) };
    const tags = await registry.tags(path);
    return tags.length > 0 ? { id: path, ownership: "unmarked" } : undefined;
  },

  async create(registry, { path, owner }) {
    await registry.pushEmpty(path, MARK, MARK_TYPE, markOf(owner));
    return path;
  },

  // The mark is all there is to it; images are CI's.
  async apply(registry, _id, { path, owner }) {
    const mark = await registry.annotations(path, MARK);
    if (ownershipOf(mark, owner) !== "ours") {
      await registry.pushEmpty(path, MARK, MARK_TYPE, markOf(owner));
    }
    return {};
  },

  async read(registry, _id, { path, owner }) {
    const mark = await registry.annotations(path, MARK);
    return ownershipOf(mark, owner) === "ours" ? {} : undefined;
  },

  async delete(registry, path) {
    const mark = await registry.digest(path, MARK);
    const digests = new Set<string>();
    for (const tag of await registry.tags(path)) {
      const digest = await registry.digest(path, tag);
      if (digest !== undefined && digest !== mark) digests.add(digest);
    }
    for (const digest of digests) await registry.deleteManifest(path, digest);
    // Last, so that a delete that was interrupted can go on: the path is still ours.
    if (mark !== undefined) await registry.deleteManifest(path, mark);
  },
});

export const provider = dynamicProvider(definition);

/** A project's own path in an OCI registry. Delete deletes all that is tagged there. */
export class Repository extends DynamicResource<typeof definition> {
  constructor(name: string, args: Args<typeof definition>, options?: pulumi.CustomResourceOptions) {
    super(definition, name, args, options);
  }
}
