import type { FastifyInstance, FastifyRequest } from "fastify";
import { z } from "zod";
import type { Gitea } from "./gitea.ts";
import { entryOf, pageOf, Refusal } from "./http.ts";
import type { Entry, Pipeline, Store } from "./store.ts";

/** Where a pipeline's configuration is looked for, in this order (shared/constant/constant.go). */
const CONFIG_FOLDER = ".woodpecker";
const CONFIG_FILES = [".woodpecker.yaml", ".woodpecker.yml"];

const optionsSchema = z.object({
  branch: z.string().default(""),
  message: z.string().default(""),
  variables: z.record(z.string(), z.string()).nullish(),
});

/** Triggering and reading pipelines (server/api/pipeline.go). No agent ever takes one up: they stay `pending`. */
export function pipelineRoutes(
  app: FastifyInstance,
  store: Store,
  gitea: Gitea,
  version: string,
): void {
  app.post("/api/repos/:repo_id/pipelines", async (request, reply) => {
    const entry = entryOf(store, request);
    const { repo, pipelines } = entry;
    const options = optionsSchema.safeParse(request.body);
    if (!options.success) throw new Refusal(400);
    const { branch, message, variables } = options.data;
    const user = await gitea.user();
    const head = await gitea.branch(repo.full_name, branch);
    // Deactivated, it has no owner as whom to run.
    if (!repo.active) throw new Refusal(500);
    if (!(await hasConfig(gitea, entry, head.commit.id))) {
      return reply.code(204).header("Pipeline-Filtered", "true").send();
    }

    const now = Math.floor(Date.now() / 1000);
    const pipeline: Pipeline = {
      id: store.nextId(),
      number: (pipelines.at(-1)?.number ?? 0) + 1,
      author: user.login,
      parent: 0,
      event: "manual",
      event_reason: null,
      status: "pending",
      errors: null,
      created: now,
      updated: now,
      started: 0,
      finished: 0,
      deploy_to: "",
      deploy_task: "",
      commit: head.commit.id,
      branch,
      rerun_count: 0,
      ref: `refs/heads/${branch}`,
      refspec: "",
      author_avatar: user.avatar_url,
      forge_url: head.commit.url,
      reviewed_by: "",
      reviewed: 0,
      // Left out when empty, as Go's omitempty does.
      ...(variables && Object.keys(variables).length > 0 ? { variables } : {}),
      version,
      title: "",
      message: message ? `MANUAL: ${message} @ ${branch}` : `MANUAL PIPELINE @ ${branch}`,
      timestamp: now,
      sender: "",
      author_email: user.email,
    };
    pipelines.push(pipeline);
    return pipeline;
  });

  app.get("/api/repos/:repo_id/pipelines", async (request) => {
    const { pipelines } = entryOf(store, request);
    return pageOf(pipelines.toReversed().filter(filterOf(request)), request);
  });

  app.get("/api/repos/:repo_id/pipelines/:number", async (request) => {
    const { repo, pipelines } = entryOf(store, request);
    const { number } = request.params as { number: string };
    const { branch = repo.default_branch } = request.query as { branch?: string };
    if (number !== "latest" && !/^\d+$/.test(number)) throw new Refusal(400);
    const pipeline =
      number === "latest"
        ? pipelines.findLast((candidate) => candidate.branch === branch)
        : pipelines.find((candidate) => candidate.number === Number(number));
    if (!pipeline) throw new Refusal(404);
    return pipeline;
  });
}

async function hasConfig(gitea: Gitea, { repo }: Entry, commit: string): Promise<boolean> {
  if (repo.config_file !== "") return gitea.hasFile(repo.full_name, repo.config_file, commit);
  const files = await gitea.files(repo.full_name, CONFIG_FOLDER, commit);
  if (files.some((file) => /\.ya?ml$/.test(file))) return true;
  for (const file of CONFIG_FILES) {
    if (await gitea.hasFile(repo.full_name, file, commit)) return true;
  }
  return false;
}

function filterOf(request: FastifyRequest): (pipeline: Pipeline) => boolean {
  const query = request.query as Record<string, string | undefined>;
  const { branch, status, event } = query;
  const unknown = ["before", "after", "ref"].find((name) => query[name]);
  if (unknown) throw new Refusal(501, `The stand-in has no filter by ${unknown}.`);
  return (pipeline) =>
    (!branch || pipeline.branch === branch) &&
    (!status || pipeline.status === status) &&
    (!event || event.split(",").includes(pipeline.event));
}
