import type { FastifyInstance, FastifyRequest } from "fastify";
import { z } from "zod";
import { entryOf, userOf } from "./access.ts";
import { type Creation, createPipeline } from "./create.ts";
import { EVENTS, pageOf, Refusal } from "./http.ts";
import { STATES } from "./status.ts";
import type { Entry, Pipeline } from "./store.ts";

/** The options have no message (model.PipelineOptions). */
const optionsSchema = z.object({
  branch: z.string().default(""),
  variables: z.record(z.string(), z.string()).nullish(),
});

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
  status: optional(z.enum(STATES)),
  event: optional(events),
  before: optional(moment),
  after: optional(moment),
});

/** Triggers, reads and cancels pipelines (server/api/pipeline.go). */
export function pipelineRoutes(app: FastifyInstance, creation: Creation): void {
  const { store, runs } = creation;

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
    const created = await createPipeline(creation, entry, entry.owner, {
      event: "manual",
      branch,
      ref: branch,
      commit: head.commit.id,
      forge_url: head.commit.url,
      message: `MANUAL PIPELINE @ ${branch}`,
      author: user.login,
      author_avatar: user.avatar_url,
      author_email: user.email,
      sender: "",
      // Omitted when empty, like Go's omitempty.
      ...(variables && Object.keys(variables).length > 0 ? { variables } : {}),
    });
    if (!created) return reply.code(204).header("Pipeline-Filtered", "true").send();
    // Woodpecker keeps the pipeline but answers 204, without the header (pipeline/create.go).
    return created.isUnreadable ? reply.code(204).send() : created.pipeline;
  });

  app.post("/api/repos/:repo_id/pipelines/:number/cancel", async (request, reply) => {
    const entry = await entryOf(store, request, "push");
    const pipeline = pipelineOf(entry, request);
    const { login } = await userOf(request).gitea.user();
    if (!runs?.cancel(pipeline, { canceled_by_user: login })) {
      throw new Refusal(400, "Cannot cancel a non-running or non-pending or non-blocked pipeline");
    }
    return reply.code(204).send();
  });

  app.get("/api/repos/:repo_id/pipelines", async (request) => {
    const { pipelines } = await entryOf(store, request);
    const page = pageOf(pipelines.toReversed().filter(filterOf(request)), request);
    return page.map(({ workflows: _, ...listed }) => listed);
  });

  app.get("/api/repos/:repo_id/pipelines/:number", async (request) => {
    const entry = await entryOf(store, request);
    const { number } = request.params as { number: string };
    if (number !== "latest") return pipelineOf(entry, request);
    const { branch = entry.repo.default_branch } = request.query as { branch?: string };
    const latest = entry.pipelines.findLast((one) => one.branch === branch && one.event === "push");
    if (!latest) throw new Refusal(404);
    return latest;
  });

  app.get("/api/repos/:repo_id/logs/:number/:step_id", async (request, reply) => {
    const entry = await entryOf(store, request);
    const pipeline = pipelineOf(entry, request);
    const { step_id: stepId } = request.params as { step_id: string };
    if (!/^\d+$/.test(stepId)) throw new Refusal(400);
    const steps = (pipeline.workflows ?? []).flatMap(({ children }) => children);
    const step = steps.find(({ id }) => id === Number(stepId));
    if (!step) throw new Refusal(404);
    const lines = entry.logs.get(step.id) ?? [];
    // The real server answers `null` for an empty log, because its Go slice is nil.
    return reply.type("application/json").send(JSON.stringify(lines.length > 0 ? lines : null));
  });
}

/** The pipeline of `:number`. @throws Refusal 400 for what is no number; 404 if there is none. */
function pipelineOf({ pipelines }: Entry, request: FastifyRequest): Pipeline {
  const { number } = request.params as { number: string };
  if (!/^\d+$/.test(number)) throw new Refusal(400);
  const pipeline = pipelines.find((one) => one.number === Number(number));
  if (!pipeline) throw new Refusal(404);
  return pipeline;
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
