import type * as pulumi from "@pulumi/pulumi";
import { z } from "zod";
import { markIn, markText, NO_OWNER, ownerSchema, ownershipOf } from "../../core/ownership.ts";
import { define } from "../dynamic/definition.ts";
import { dynamicProvider } from "../dynamic/provider.ts";
import { type Args, DynamicResource } from "../dynamic/resource.ts";
import { Woodpecker } from "./client.ts";
import { secretEvents } from "./secret-events.ts";
import { assertMay } from "./visibility.ts";

const definition = define({
  module: "woodpecker/secret",
  type: "woodpecker:Secret",
  noun: "Woodpecker secret",
  inputs: z.object({
    /** Woodpecker's own number of the repository. */
    repositoryId: z.int(),
    name: z.string().regex(/^\w+$/, "has more than letters, digits and _"),
    value: z.string().min(1),
    /** Which runs are given it. */
    events: secretEvents,
    owner: ownerSchema,
  }),
  attributes: z.object({}),
  replaceOn: ["repositoryId", "name"],
  secrets: ["value"],

  connect: () => new Woodpecker(),

  async find(woodpecker, { repositoryId, name, owner }) {
    const found = await woodpecker.secret(repositoryId, name);
    if (!found) return undefined;
    return { id: id(repositoryId, name), ownership: ownershipOf(markIn(found.note), owner) };
  },

  async create(woodpecker, inputs) {
    await woodpecker.createSecret(inputs.repositoryId, inputs.name, settings(inputs));
    return id(inputs.repositoryId, inputs.name);
  },

  // A value cannot be read back: whether it is right is not known before it is set again.
  async apply(woodpecker, _id, inputs) {
    await woodpecker.editSecret(inputs.repositoryId, inputs.name, settings(inputs));
    return {};
  },

  async read(woodpecker, _id, { repositoryId, name, owner }) {
    const found = await woodpecker.secret(repositoryId, name);
    const ownership = ownershipOf(markIn(found?.note), owner);
    if (!found || ownership === "others") return undefined;
    return { events: found.events.toSorted(), owner: ownership === "ours" ? owner : NO_OWNER };
  },

  async assertVisible(woodpecker, { repositoryId }) {
    await assertMay(woodpecker, "push", repositoryId);
  },

  async delete(woodpecker, _id, { repositoryId, name }) {
    await woodpecker.deleteSecret(repositoryId, name);
  },
});

function id(repositoryId: number, name: string): string {
  return `${repositoryId}/${name}`;
}

function settings({ value, events, owner }: z.output<typeof definition.inputs>) {
  return { value, events, note: markText(owner) };
}

export const provider = dynamicProvider(definition);

/** A secret of one Woodpecker repository, never given to pull requests. Delete deletes it. */
export class Secret extends DynamicResource<typeof definition> {
  constructor(name: string, args: Args<typeof definition>, options?: pulumi.CustomResourceOptions) {
    super(definition, name, args, options);
  }
}
