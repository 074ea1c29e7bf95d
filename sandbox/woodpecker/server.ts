/**
 * Stands in for Woodpecker 3.x, for which there is no program that the sandbox could download or build.
 *
 * It implements the calls that this project uses, with the statuses, plain-text errors and field names
 * of Woodpecker's public API (server/api and openapi of woodpecker-ci/woodpecker 3.17).
 *
 * Differences: data is in memory. Without a backend, no agent runs pipelines, so they stay `pending`,
 * and webhooks from Gitea are refused. With one, only pushes to branches start pipelines; pull requests
 * and tags do not, and Gitea gets no commit statuses. The checks of a configuration cover steps, filters
 * and secrets. A user's rights are read from Gitea for each request, not once an hour. Users log in with
 * a Gitea token (POST /authorize). All other calls require a token.
 */
import { randomBytes } from "node:crypto";
import type { FastifyInstance } from "fastify";
import { createStandIn, listen, type StandIn } from "../stand-in.ts";
import { userOf } from "./access.ts";
import type { GiteaAccess } from "./gitea.ts";
import type { Backend } from "./backend.ts";
import { hookRoutes } from "./hook.ts";
import { answerFailuresInText, Refusal } from "./http.ts";
import { pipelineRoutes } from "./pipelines.ts";
import { repoRoutes } from "./repos.ts";
import { Runs } from "./runs.ts";
import { secretRoutes } from "./secrets.ts";
import { Store } from "./store.ts";
import { Users } from "./users.ts";

const VERSION = "3.17.0";

export interface WoodpeckerOptions {
  /** The access of Gitea's administrator, who is also Woodpecker's administrator. */
  readonly gitea: GiteaAccess;
  /** The administrator's personal access token. @default a random one */
  readonly token?: string;
  /** @default any free port */
  readonly port?: number;
  /**
   * Where the steps of pipelines run. A push then starts a pipeline.
   * @default pipelines stay `pending`, and pushes start none
   */
  readonly backend?: Backend;
}

export interface Woodpecker extends StandIn {
  readonly token: string;
}

/** Starts the server on 127.0.0.1. It calls Gitea only to answer requests and to read configurations. */
export async function startWoodpecker(options: WoodpeckerOptions): Promise<Woodpecker> {
  const { app, misbehave } = createStandIn();
  const token = options.token ?? randomBytes(24).toString("hex");
  const users = new Users(options.gitea, token);
  const store = new Store();
  const runs = options.backend && new Runs(options.backend);
  const creation = { store, runs, version: VERSION, url: () => app.listeningOrigin };
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
        id: user.id,
        forge_id: 1,
        forge_remote_id: String(id),
        login,
        email,
        avatar_url,
        // Omitted when false, like Go's omitempty.
        ...(user.admin && { admin: true }),
        org_id: store.organizationId(login),
      };
    });
    repoRoutes(api, store);
    secretRoutes(api, store);
    pipelineRoutes(api, creation);
  });
  if (runs) hookRoutes(app, creation);

  const url = await listen(app, options.port);
  return {
    url,
    token,
    misbehave,
    async close() {
      await app.close();
      await runs?.close();
    },
  };
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
