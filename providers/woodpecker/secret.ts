import type * as pulumi from "@pulumi/pulumi";
import { z } from "zod";
import { ownershipText } from "../../core/ownership.ts";
import { define } from "../dynamic/definition.ts";
import { dynamicProvider } from "../dynamic/provider.ts";
import { type Args, DynamicResource } from "../dynamic/resource.ts";
import { Woodpecker } from "./client.ts";
import { secretEvents } from "./secret-events.ts";

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
    /** The slug that the secret's mark names. */
    project: z.string().min(1),
  }),
  attributes: z.object({}),
  replaceOn: ["repositoryId", "name", "project"],
  secrets: ["value"],

  connect: () => new Woodpecker(),

  async find(woodpecker, { repositoryId, name, project }) {
    const found = await woodpecker.secret(repositoryId, name);
    return found && { id: id(repositoryId, name), owned: found.note === ownershipText(project) };
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

  async read(woodpecker, _id, { repositoryId, name, project }) {
    const found = await woodpecker.secret(repositoryId, name);
    if (found?.note !== ownershipText(project)) return undefined;
    return { events: found.events.toSorted() };
  },

  async delete(woodpecker, _id, { repositoryId, name }) {
    await woodpecker.deleteSecret(repositoryId, name);
  },
});

function id(repositoryId: number, name: string): string {
  return `${repositoryId}/${name}`;
}

function settings({ value, events, project }: z.output<typeof definition.inputs>) {
  return { value, events, note: ownershipText(project) };
}

export const provider = dynamicProvider(definition);

/** A secret of one Woodpecker repository, never given to pull requests. Delete deletes it. */
export class Secret extends DynamicResource<typeof definition> {
  constructor(name: string, args: Args<typeof definition>, options?: pulumi.CustomResourceOptions) {
    super(definition, name, args, options);
  }
}
