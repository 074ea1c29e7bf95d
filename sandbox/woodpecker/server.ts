/** Stands in for Woodpecker 3.x, which cannot be had where the sandbox runs.
 *
 * It answers the calls that this project uses, by Woodpecker's public API (server/api and openapi of woodpecker-ci/woodpecker 3.17),
 * with its statuses, its plain-text refusals and its field names.
 *
 * What differs: state is in memory; no agent runs pipelines, so they stay `pending`; a webhook that
 * Gitea calls is not listened to; of a configuration the steps, filters and secrets are checked, and
 * no variable is replaced; what a user may see is asked at each request, not once an hour; a user
 * logs in with a token of Gitea's (POST /authorize); without a token nothing is shown.
 */
import { randomBytes } from "node:crypto";
import type { FastifyInstance } from "fastify";
import { createStandIn, listen, type StandIn } from "../stand-in.ts";
import { userOf } from "./access.ts";
import type { GiteaAccess } from "./gitea.ts";
import { answerFailuresInText, Refusal } from "./http.ts";
import { pipelineRoutes } from "./pipelines.ts";
import { repoRoutes } from "./repos.ts";
import { secretRoutes } from "./secrets.ts";
import { Store } from "./store.ts";
import { Users } from "./users.ts";

const VERSION = "3.17.0";

export interface WoodpeckerOptions {
  /** Gitea's administrator, who administers Woodpecker too. */
  readonly gitea: GiteaAccess;
  /** The administrator's personal access token. Default: a random one. */
  readonly token?: string;
  /** Default: any free one. */
  readonly port?: number;
}

export interface Woodpecker extends StandIn {
  readonly token: string;
}

/** Listens on this machine only; Gitea is not called before the first request. */
export async function startWoodpecker(options: WoodpeckerOptions): Promise<Woodpecker> {
  const { app, misbehave } = createStandIn();
  const token = options.token ?? randomBytes(24).toString("hex");
  const users = new Users(options.gitea, token);
  const store = new Store();
  answerFailuresInText(app);

  app.get("/healthz", async (_request, reply) => reply.code(204).send());
  app.get("/version", async () => ({
    source: "https://github.com/woodpecker-ci/woodpecker",
    version: VERSION,
  }));
  app.post("/authorize", async (request) => {
    const token = /^token (\S+)$/.exec(request.headers.authorization ?? "")?.[1] ?? "";
    return { token: (await users.login(token)).token };
  });
  await app.register(async (api) => {
    requireUser(api, users);
    api.get("/api/user", async (request) => {
      const user = userOf(request);
      const { id, login, email, avatar_url } = await user.gitea.user();
      return {
        ...{ id: user.id, forge_id: 1, forge_remote_id: String(id), login, email, avatar_url },
        // Left out when false, as Go's omitempty does.
        ...(user.admin && { admin: true }),
        org_id: store.organizationId(login),
      };
    });
    repoRoutes(api, store);
    secretRoutes(api, store);
    pipelineRoutes(api, store, VERSION);
  });

  const url = await listen(app, options.port);
  return { url, token, misbehave, close: () => app.close() };
}

function requireUser(app: FastifyInstance, users: Users): void {
  app.decorateRequest("user");
  app.addHook("onRequest", async (request) => {
    const token = /^Bearer (\S+)$/.exec(request.headers.authorization ?? "")?.[1] ?? "";
    const user = users.byToken(token);
    if (!user) throw new Refusal(401, "User not authorized");
    request.setDecorator("user", user);
  });
}
