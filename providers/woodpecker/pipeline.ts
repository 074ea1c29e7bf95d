import type * as pulumi from "@pulumi/pulumi";
import { z } from "zod";
import { InfraError } from "../../core/errors.ts";
import { define } from "../dynamic/definition.ts";
import { dynamicProvider } from "../dynamic/provider.ts";
import { type Args, DynamicResource } from "../dynamic/resource.ts";
import { Woodpecker } from "./client.ts";

const definition = define({
  module: "woodpecker/pipeline",
  type: "woodpecker:Pipeline",
  noun: "Woodpecker pipeline",
  inputs: z.object({
    /** Woodpecker's own number of the repository. */
    repositoryId: z.int(),
    branch: z.string().min(1).default("main"),
    project: z.string().min(1),
  }),
  attributes: z.object({
    /** Counted from 1 in each repository. */
    number: z.int(),
    /** For a person's browser. */
    url: z.string(),
  }),
  replaceOn: ["repositoryId"],
  secrets: [],

  connect: () => new Woodpecker(),

  // Any run will do: a create that was interrupted, or the push of the template, has made it.
  async find(woodpecker, { repositoryId }) {
    const found = await woodpecker.latestPipeline(repositoryId);
    return found && { id: id(repositoryId, found.number), owned: true };
  },

  async create(woodpecker, { repositoryId, branch }) {
    const made = await woodpecker.createPipeline(repositoryId, branch);
    if (made) return id(repositoryId, made.number);
    throw new InfraError(
      "RDEV_REFUSED",
      `Woodpecker found no pipeline to run on the branch ${branch} of repository ${repositoryId}: ` +
        'it has no .woodpecker.yml, or its workflows leave out the event "manual".',
    );
  },

  async apply(woodpecker, made, { repositoryId }) {
    const number = Number(made.split("/").at(-1));
    return { number, url: `${woodpecker.url}/repos/${repositoryId}/pipeline/${number}` };
  },

  // It has been: that it was purged since makes no second first run.
  async read() {
    return {};
  },

  async delete() {
    // What has run has run.
  },
});

function id(repositoryId: number, number: number): string {
  return `${repositoryId}/${number}`;
}

export const provider = dynamicProvider(definition);

/** The first run of a repository's pipeline. Later changes start none, and delete does nothing. */
export class Pipeline extends DynamicResource<typeof definition> {
  declare readonly number: pulumi.Output<number>;
  declare readonly url: pulumi.Output<string>;

  constructor(name: string, args: Args<typeof definition>, options?: pulumi.CustomResourceOptions) {
    super(definition, name, args, options);
  }
}
