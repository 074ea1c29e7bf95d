import { randomUUID } from "node:crypto";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { z } from "zod";
import { entryOf, userOf } from "./access.ts";
import { type Gitea, GiteaError } from "./gitea.ts";
import { EVENTS, pageOf, Refusal } from "./http.ts";
import type { Entry, Pipeline, PipelineWorkflow, Store } from "./store.ts";
import {
  type ConfigFile,
  generic,
  isBlocking,
  plan,
  type Plan,
  type Workflow,
} from "./workflows.ts";

/** The locations of a pipeline's configuration, in order of precedence (shared/constant/constant.go). */
const CONFIG_FOLDER = ".woodpecker";
const CONFIG_FILES = [".woodpecker.yaml", ".woodpecker.yml"];

/** The options have no message (model.PipelineOptions). */
const optionsSchema = z.object({
  branch: z.string().default(""),
  variables: z.record(z.string(), z.string()).nullish(),
});

const status = z.enum([
  "skipped",
  "pending",
  "running",
  "success",
  "failure",
  "killed",
  "canceled",
  "error",
  "blocked",
  "declined",
  "created",
]);
const events = z
  .string()
  .transform((text) => text.split(","))
  .pipe(z.array(z.enum(EVENTS)));
/** RFC 3339, converted to seconds since 1970. */
const moment = z.iso
  .datetime({ offset: true })
  .transform((text) => Math.floor(Date.parse(text) / 1000));
const optional = <S extends z.ZodType>(schema: S) =>
  z.preprocess((value) => (value === "" ? undefined : value), schema.optional());
const filterSchema = z.object({
  branch: optional(z.string()),
  ref: optional(z.string()),
  status: optional(status),
  event: optional(events),
  before: optional(moment),
  after: optional(moment),
});

/** Triggers and reads pipelines (server/api/pipeline.go). There is no agent, so they stay `pending`. */
export function pipelineRoutes(app: FastifyInstance, store: Store, version: string): void {
  app.post("/api/repos/:repo_id/pipelines", async (request, reply) => {
    const entry = await entryOf(store, request, "push");
    const options = optionsSchema.safeParse(request.body);
    if (!options.success) throw new Refusal(400);
    const { branch, variables } = options.data;
    const { gitea } = userOf(request);
    const user = await gitea.user();
    const head = await gitea.branch(entry.repo.full_name, branch);
    // A deactivated repository has no owner whose rights the run could use.
    if (!entry.owner) throw new Refusal(500);
    const planned = await planOf(entry, entry.owner.gitea, head.commit.id, branch);
    if (!planned) return reply.code(204).header("Pipeline-Filtered", "true").send();

    const now = Math.floor(Date.now() / 1000);
    const isRejected = planned.errors.some(isBlocking);
    const id = store.nextId();
    const pipeline: Pipeline = {
      id,
      number: (entry.pipelines.at(-1)?.number ?? 0) + 1,
      author: user.login,
      parent: 0,
      event: "manual",
      event_reason: null,
      status: isRejected ? "error" : "pending",
      errors: planned.errors.length > 0 ? planned.errors : null,
      created: now,
      updated: now,
      started: isRejected ? now : 0,
      finished: isRejected ? now : 0,
      deploy_to: "",
      deploy_task: "",
      commit: head.commit.id,
      branch,
      rerun_count: 0,
      ref: branch,
      refspec: "",
      author_avatar: user.avatar_url,
      forge_url: head.commit.url,
      reviewed_by: "",
      reviewed: 0,
      // Omitted when empty, like Go's omitempty.
      ...(isRejected ? {} : { workflows: withIds(store, id, planned.workflows) }),
      ...(variables && Object.keys(variables).length > 0 ? { variables } : {}),
      version,
      title: "",
      message: `MANUAL PIPELINE @ ${branch}`,
      timestamp: now,
      sender: "",
      author_email: user.email,
    };
    entry.pipelines.push(pipeline);
    // Woodpecker keeps the pipeline but answers 204, without the header (pipeline/create.go).
    return planned.isUnreadable ? reply.code(204).send() : pipeline;
  });

  app.get("/api/repos/:repo_id/pipelines", async (request) => {
    const { pipelines } = await entryOf(store, request);
    const page = pageOf(pipelines.toReversed().filter(filterOf(request)), request);
    return page.map(({ workflows: _, ...listed }) => listed);
  });

  app.get("/api/repos/:repo_id/pipelines/:number", async (request) => {
    const { repo, pipelines } = await entryOf(store, request);
    const { number } = request.params as { number: string };
    const { branch = repo.default_branch } = request.query as { branch?: string };
    if (number !== "latest" && !/^\d+$/.test(number)) throw new Refusal(400);
    const pipeline =
      number === "latest"
        ? pipelines.findLast((one) => one.branch === branch && one.event === "push")
        : pipelines.find((one) => one.number === Number(number));
    if (!pipeline) throw new Refusal(404);
    return pipeline;
  });
}

/** The plan of a manual run; undefined if filters exclude it or there is no configuration. */
async function planOf(
  { repo, secrets }: Entry,
  gitea: Gitea,
  commit: string,
  branch: string,
): Promise<(Plan & { readonly isUnreadable?: boolean }) | undefined> {
  let files: ConfigFile[];
  try {
    files = await configOf(gitea, repo, commit);
  } catch (error) {
    if (!(error instanceof GiteaError)) throw error;
    const errors = [generic(`could not load config from forge: ${error.message}`)];
    return { workflows: [], errors, isUnreadable: true };
  }
  const run = { event: "manual", branch, ref: branch, repository: repo.full_name };
  const known = new Map([...secrets].map(([name, { secret }]) => [name, secret]));
  const planned = plan(files, run, known);
  return planned.workflows.length > 0 || planned.errors.some(isBlocking) ? planned : undefined;
}

async function configOf(gitea: Gitea, repo: Entry["repo"], commit: string): Promise<ConfigFile[]> {
  const read = async (paths: readonly string[]) =>
    Promise.all(
      paths.map(async (path) => ({ path, text: await gitea.file(repo.full_name, path, commit) })),
    );
  const own = repo.config_file.trim();
  if (own !== "") return (await read([own])).filter(({ text }) => text !== "");
  const inFolder = await gitea.files(repo.full_name, CONFIG_FOLDER, commit);
  const files = inFolder.filter((path) => /\.ya?ml$/.test(path));
  if (files.length > 0) return read(files);
  return (await read(CONFIG_FILES)).filter(({ text }) => text !== "").slice(0, 1);
}

/** Adds the ids that the real server's database assigns. */
function withIds(store: Store, pipelineId: number, workflows: readonly Workflow[]) {
  let step = workflows.length;
  return workflows.map(({ name, steps }, index): PipelineWorkflow => ({
    id: store.nextId(),
    pipeline_id: pipelineId,
    pid: index + 1,
    name,
    state: "pending",
    children: steps.map((one) => ({
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

function filterOf(request: FastifyRequest): (pipeline: Pipeline) => boolean {
  const parsed = filterSchema.safeParse(request.query);
  if (!parsed.success) throw new Refusal(400);
  const { branch, ref, status: wanted, event, before, after } = parsed.data;
  return (pipeline) =>
    (!branch || pipeline.branch === branch) &&
    (!ref || pipeline.ref.includes(ref)) &&
    (!wanted || pipeline.status === wanted) &&
    (!event || event.some((one) => one === pipeline.event)) &&
    (!before || pipeline.created < before) &&
    (!after || pipeline.created > after);
}
