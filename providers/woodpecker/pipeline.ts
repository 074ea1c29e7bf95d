import { z } from "zod";
import { InfraError, problems } from "../../core/errors.ts";
import { define } from "../dynamic/definition.ts";
import { dynamicProvider } from "../dynamic/provider.ts";
import { dynamicResource } from "../dynamic/resource.ts";
import { Woodpecker, type WoodpeckerPipeline } from "./client.ts";

const definition = define({
  module: "woodpecker/pipeline",
  type: "woodpecker:Pipeline",
  noun: "Woodpecker pipeline",
  inputs: z.object({
    /** Woodpecker's number of the repository. */
    repositoryId: z.int(),
    branch: z.string().min(1).default("main"),
  }),
  attributes: z.object({
    /** Numbered from 1 in each repository. */
    number: z.int(),
    /** Its web page. */
    url: z.string(),
  }),
  replaceOn: ["repositoryId"],
  secrets: [],

  connect: () => new Woodpecker(),

  // Any run counts, because an interrupted create or the push of the template may have started it. A
  // run that Woodpecker rejected never ran.
  async find(woodpecker, { repositoryId }) {
    const found = await woodpecker.latestPipeline(repositoryId);
    return found && !isRejected(found)
      ? { id: id(repositoryId, found.number), ownership: "ours" }
      : undefined;
  },

  async create(woodpecker, { repositoryId, branch }) {
    const { pipeline, isFiltered } = await start(woodpecker, repositoryId, branch);
    const run =
      pipeline ?? (isFiltered ? undefined : await woodpecker.latestPipeline(repositoryId));
    if (!run) {
      throw new InfraError(
        "RDEV_REFUSED",
        `Woodpecker found no pipeline to run on the branch ${branch} of repository ` +
          `${repositoryId}: it has no .woodpecker.yml, or its workflows exclude the event "manual".`,
      );
    }
    if (isRejected(run)) throw rejected(run, repositoryId, branch);
    return id(repositoryId, run.number);
  },

  async apply(woodpecker, runId, { repositoryId }) {
    const number = Number(runId.split("/").at(-1));
    return { number, url: `${woodpecker.url}/repos/${repositoryId}/pipeline/${number}` };
  },

  // The first run happened, even if Woodpecker has purged it since.
  async read() {
    return {};
  },

  async delete() {
    // A run cannot be undone.
  },
});

/** Woodpecker answers 200 for a rejected run, stores it and gives it the status "error". */
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

/** Starts a run. Explains Woodpecker's 500 without a message if the branch does not exist. */
async function start(woodpecker: Woodpecker, repositoryId: number, branch: string) {
  try {
    return await woodpecker.createPipeline(repositoryId, branch);
  } catch (error) {
    const isUnexplained = error instanceof InfraError && error.status === 500;
    if (!isUnexplained || (await woodpecker.hasBranch(repositoryId, branch))) throw error;
    throw new InfraError(
      "RDEV_REFUSED",
      `Woodpecker cannot run a pipeline on the branch ${branch} of repository ${repositoryId}: ` +
        "the repository has no such branch. Push the branch, then run up again.",
      { cause: error },
    );
  }
}

function id(repositoryId: number, number: number): string {
  return `${repositoryId}/${number}`;
}

export const provider = dynamicProvider(definition);

/** The first run of a repository's pipeline. Later changes start no run, and Delete does nothing. */
export class Pipeline extends dynamicResource(definition) {}
