import { randomUUID } from "node:crypto";
import { type ConfigFile, generic } from "./config.ts";
import { type Gitea, GiteaError } from "./gitea.ts";
import type { Runs } from "./runs.ts";
import type { Entry, Pipeline, PipelineWorkflow, Store } from "./store.ts";
import type { User } from "./users.ts";
import { pipelineVariables } from "./variables.ts";
import { isBlocking, plan, type Plan, type Workflow } from "./workflows.ts";

/** The locations of a pipeline's configuration, in order of precedence (shared/constant/constant.go). */
const CONFIG_FOLDER = ".woodpecker";
const CONFIG_FILES = [".woodpecker.yaml", ".woodpecker.yml"];

/** A commit message with `[skip ci]` prevents the pipeline of a push (constraint/skip.go). */
const SKIP = /\[(?:ci *skip|skip *ci)\]/i;

/** What starts a pipeline. */
export type Trigger = Pick<
  Pipeline,
  "event" | "branch" | "ref" | "commit" | "forge_url" | "message" | "author" | "author_avatar"
> &
  Pick<Pipeline, "author_email" | "sender" | "changed_files" | "variables">;

export interface Creation {
  readonly store: Store;
  /** Takes the pipeline. Undefined: it stays `pending`. */
  readonly runs: Runs | undefined;
  readonly version: string;
  /** Woodpecker's own address. */
  readonly url: () => string;
}

/** A pipeline that was created; undefined if filters exclude it or there is no configuration. */
export interface Created {
  readonly pipeline: Pipeline;
  /** Gitea did not answer with the configuration. */
  readonly isUnreadable: boolean;
}

/** Creates a pipeline and gives it to the runner (server/pipeline/create.go). */
export async function createPipeline(
  { store, runs, version, url }: Creation,
  entry: Entry,
  owner: User,
  trigger: Trigger,
): Promise<Created | undefined> {
  if (trigger.event === "push" && SKIP.test(trigger.message)) return undefined;
  const { pipelines, repo } = entry;
  const files = await configOf(owner.gitea, repo, trigger.commit);
  const now = Math.floor(Date.now() / 1000);
  const draft: Pipeline = {
    id: store.nextId(),
    number: (pipelines.at(-1)?.number ?? 0) + 1,
    parent: 0,
    event_reason: null,
    status: "pending",
    errors: null,
    created: now,
    updated: now,
    started: 0,
    finished: 0,
    deploy_to: "",
    deploy_task: "",
    rerun_count: 0,
    refspec: "",
    reviewed_by: "",
    reviewed: 0,
    version,
    title: "",
    timestamp: now,
    ...trigger,
  };
  const planned: Plan =
    files instanceof GiteaError
      ? {
          workflows: [],
          errors: [generic(`could not load config from forge: ${files.message}`)],
        }
      : planOf(entry, draft, files, url(), owner.gitea.url);
  const errors = planned.errors.length > 0 ? planned.errors : null;
  if (planned.errors.some(isBlocking)) {
    const pipeline: Pipeline = { ...draft, errors, status: "error", started: now, finished: now };
    pipelines.push(pipeline);
    return { pipeline, isUnreadable: files instanceof GiteaError };
  }
  if (planned.workflows.length === 0) return undefined;
  const workflows = withIds(store, draft.id, planned.workflows);
  const pipeline: Pipeline = { ...draft, errors, workflows };
  pipelines.push(pipeline);
  runs?.add(entry, pipeline, planned.workflows, owner);
  return { pipeline, isUnreadable: false };
}

function planOf(
  { repo, secrets, pipelines }: Entry,
  pipeline: Pipeline,
  files: readonly ConfigFile[],
  url: string,
  forgeUrl: string,
): Plan {
  const { event, branch, ref, message, changed_files: changedFiles = [], variables } = pipeline;
  const run = { event, branch, ref, message, changedFiles, repository: repo.full_name };
  const known = new Map(
    [...secrets].map(([name, { secret, value }]) => [name.toLowerCase(), { ...secret, value }]),
  );
  const previous = pipelines.findLast((one) => one.branch === branch);
  const common = pipelineVariables({ repo, pipeline, previous, url, forgeUrl });
  return plan(files, run, known, ({ name, number }) => ({
    ...common,
    CI_WORKFLOW_NAME: name,
    CI_WORKFLOW_NUMBER: String(number),
    ...variables,
  }));
}

/** The files; the error if Gitea does not answer with them. */
async function configOf(
  gitea: Gitea,
  repo: Entry["repo"],
  commit: string,
): Promise<ConfigFile[] | GiteaError> {
  const read = async (paths: readonly string[]) =>
    Promise.all(
      paths.map(async (path) => ({ path, text: await gitea.file(repo.full_name, path, commit) })),
    );
  const found = (files: readonly ConfigFile[]) => files.filter(({ text }) => text !== "");
  try {
    const own = repo.config_file.trim();
    if (own !== "") return found(await read([own]));
    const inFolder = await gitea.files(repo.full_name, CONFIG_FOLDER, commit);
    const files = inFolder.filter((path) => /\.ya?ml$/.test(path));
    return files.length > 0 ? await read(files) : found(await read(CONFIG_FILES)).slice(0, 1);
  } catch (error) {
    if (error instanceof GiteaError) return error;
    throw error;
  }
}

/** Adds the ids that the real server's database assigns. */
function withIds(store: Store, pipelineId: number, workflows: readonly Workflow[]) {
  let step = workflows.length;
  return workflows.map(({ name, stages }, index): PipelineWorkflow => ({
    id: store.nextId(),
    pipeline_id: pipelineId,
    pid: index + 1,
    name,
    state: "pending",
    children: stages.flat().map((one) => ({
      id: store.nextId(),
      uuid: randomUUID(),
      pipeline_id: pipelineId,
      pid: (step += 1),
      ppid: index + 1,
      name: one.name,
      state: "pending",
      exit_code: 0,
      type: one.type,
    })),
  }));
}
