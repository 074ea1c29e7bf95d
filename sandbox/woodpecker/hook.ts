import type { FastifyInstance, FastifyRequest } from "fastify";
import { decodeJwt, jwtVerify } from "jose";
import { z } from "zod";
import { type Creation, createPipeline, type Trigger } from "./create.ts";
import { Refusal } from "./http.ts";
import type { Entry, Store } from "./store.ts";

const commitSchema = z.object({
  message: z.string(),
  url: z.string(),
  added: z.array(z.string()).nullish(),
  removed: z.array(z.string()).nullish(),
  modified: z.array(z.string()).nullish(),
});

/** Gitea's payload of a push (server/forge/gitea/types.go). */
const pushSchema = z.object({
  ref: z.string(),
  after: z.string(),
  compare_url: z.string(),
  commits: z.array(commitSchema).nullish(),
  head_commit: commitSchema,
  repository: z.object({ id: z.number() }),
  sender: z.object({ login: z.string(), email: z.string(), avatar_url: z.string() }),
});

const claimsSchema = z.object({ "repo-forge-remote-id": z.string() });

const BRANCH = "refs/heads/";

/** Gitea's webhooks (server/api/hook.go). A push starts a pipeline; other events are ignored. */
export function hookRoutes(app: FastifyInstance, creation: Creation): void {
  app.post("/api/hook", async (request, reply) => {
    const entry = await entryOfToken(request, creation.store);
    const event = String(request.headers["x-gitea-event"] ?? "");
    if (event !== "push") return `forge driver: explicit ignored event '${event}'`;
    const push = pushSchema.safeParse(request.body);
    if (!push.success) throw new Refusal(400, "failure to parse hook");
    if (!push.data.ref.startsWith(BRANCH)) {
      return "ignoring hook: hook parsing resulted in empty pipeline";
    }
    if (String(push.data.repository.id) !== entry.repo.forge_remote_id) {
      throw new Refusal(400, "failure to parse token from hook");
    }
    if (!entry.repo.active || !entry.owner) return reply.code(204).send();
    const created = await createPipeline(creation, entry, entry.owner, triggerOf(push.data));
    if (!created) return reply.code(204).header("Pipeline-Filtered", "true").send();
    return created.pipeline;
  });
}

/** The repository that the webhook's signed token names. */
async function entryOfToken(request: FastifyRequest, store: Store): Promise<Entry> {
  const { access_token: token = "" } = request.query as { access_token?: string };
  try {
    const { "repo-forge-remote-id": id } = claimsSchema.parse(decodeJwt(token));
    const entry = store.byForgeId(id);
    if (!entry) throw new Error(`there is no repository ${id}`);
    await jwtVerify(token, new TextEncoder().encode(entry.hash));
    return entry;
  } catch (cause) {
    throw new Refusal(400, "failure to parse token from hook", { cause });
  }
}

/** server/forge/gitea/helper.go */
function triggerOf(push: z.output<typeof pushSchema>): Trigger {
  const commits = push.commits ?? [];
  const [first = push.head_commit, ...others] = commits;
  const { login, email, avatar_url: avatar } = push.sender;
  const files = [...commits, push.head_commit].flatMap(({ added, removed, modified }) => [
    ...(added ?? []),
    ...(removed ?? []),
    ...(modified ?? []),
  ]);
  return {
    event: "push",
    branch: push.ref.slice(BRANCH.length),
    ref: push.ref,
    commit: push.after,
    forge_url: others.length > 0 ? push.compare_url : first.url,
    message: first.message,
    author: login,
    author_avatar: avatar,
    author_email: email,
    sender: login,
    changed_files: [...new Set(files)],
  };
}
