import type * as pulumi from "@pulumi/pulumi";
import { z } from "zod";
import { InfraError, problems } from "../../core/errors.ts";
import { define } from "../dynamic/definition.ts";
import { dynamicProvider } from "../dynamic/provider.ts";
import { type Args, DynamicResource } from "../dynamic/resource.ts";
import { Woodpecker, type WoodpeckerPipeline } from "./client.ts";

const definition = define({
  module: "woodpecker/pipeline",
  type: "woodpecker:Pipeline",
  noun: "Woodpecker pipeline",
  inputs: z.object({
    /** Woodpecker's own number of the repository. */
    repositoryId: z.int(),
    branch: z.string().min(1).default("main"),
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

  // Any run will do: a create that was interrupted, or the push of the template, has made it. One
  // that Woodpecker rejected never ran.
  async find(woodpecker, { repositoryId }) {
    const found = await woodpecker.latestPipeline(repositoryId);
    return found && !isRejected(found)
      ? { id: id(repositoryId, found.number), ownership: "ours" }
      : undefined;
  },

  async create(woodpecker, { repositoryId, branch }) {
    const { pipeline, isFiltered } = await start(woodpecker, repositoryId, branch);
    const made =
      pipeline ?? (isFiltered ? undefined : await woodpecker.latestPipeline(repositoryId));
    if (!made) {
      throw new InfraError(
        "RDEV_REFUSED",
        `Woodpecker found no pipeline to run on the branch ${branch} of repository ` +
          `${repositoryId}: it has no .woodpecker.yml, or its workflows leave out the event "manual".`,
      );
    }
    if (isRejected(made)) throw rejected(made, repositoryId, branch);
    return id(repositoryId, made.number);
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

/** Woodpecker says "error" with status 200, and keeps the run. */
function isRejected({ status }: WoodpeckerPipeline): boolean {
  return status === "error";
}

function rejected(
  { number, errors }: WoodpeckerPipeline,
  repositoryId: number,
  branch: string,
): InfraError {
  const reasons = errors.filter((error) => !error.is_warning).map(({ message }) => message);
  return problems(
    "RDEV_REFUSED",
    `Woodpecker rejected the run ${number} on the branch ${branch} of repository ${repositoryId}. ` +
      "Correct the pipeline's configuration, push it, then run up again:",
    reasons.length > 0 ? reasons : ["no reason was given"],
  );
}

/** Woodpecker answers 500 without a word where the branch does not exist. */
async function start(woodpecker: Woodpecker, repositoryId: number, branch: string) {
  try {
    return await woodpecker.createPipeline(repositoryId, branch);
  } catch (error) {
    const isUnexplained = error instanceof InfraError && error.status === 500;
    if (!isUnexplained || (await woodpecker.hasBranch(repositoryId, branch))) throw error;
    throw new InfraError(
      "RDEV_REFUSED",
      `Woodpecker cannot run a pipeline on the branch ${branch} of repository ${repositoryId}: ` +
        "the repository has no such branch. Push it, then run up again.",
      { cause: error },
    );
  }
}

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
