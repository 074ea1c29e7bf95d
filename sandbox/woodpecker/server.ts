/** Stands in for Woodpecker 3.x, which cannot be had where the sandbox runs.
 *
 * It answers the calls that this project uses, by Woodpecker's public API (server/api and openapi of woodpecker-ci/woodpecker 3.17),
 * with its statuses, its plain-text refusals and its field names.
 *
 * What differs: state is in memory; no agent runs pipelines, so they stay `pending`; a webhook that
 * Gitea calls is not listened to; the configuration is looked for, but not parsed; there is one
 * user, Gitea's, and without a token even a public repository is not shown.
 */
import { randomBytes } from "node:crypto";
import type { FastifyInstance } from "fastify";
import { createStandIn, listen, type StandIn } from "../stand-in.ts";
import { Gitea, type GiteaAccess } from "./gitea.ts";
import { answerFailuresInText, Refusal } from "./http.ts";
import { pipelineRoutes } from "./pipelines.ts";
import { repoRoutes } from "./repos.ts";
import { secretRoutes } from "./secrets.ts";
import { Store } from "./store.ts";

const VERSION = "3.17.0";

export interface WoodpeckerOptions {
  /** An administrator's token: Woodpecker makes and deletes webhooks with it. */
  readonly gitea: GiteaAccess;
  /** The personal access token that callers must show. Default: a random one. */
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
  const gitea = new Gitea(options.gitea);
  const store = new Store();
  answerFailuresInText(app);

  app.get("/healthz", async (_request, reply) => reply.code(204).send());
  app.get("/version", async () => ({
    source: "https://github.com/woodpecker-ci/woodpecker",
    version: VERSION,
  }));
  await app.register(async (api) => {
    requireToken(api, token);
    api.get("/api/user", async () => {
      const { id, login, email, avatar_url } = await gitea.user();
      const common = { id: 1, forge_id: 1, forge_remote_id: String(id), login, email, avatar_url };
      return { ...common, admin: true, org_id: store.organizationId(login) };
    });
    repoRoutes(api, store, gitea);
    secretRoutes(api, store);
    pipelineRoutes(api, store, gitea, VERSION);
  });

  const url = await listen(app, options.port);
  return { url, token, misbehave, close: () => app.close() };
}

function requireToken(app: FastifyInstance, token: string): void {
  app.addHook("onRequest", async (request) => {
    if (request.headers.authorization !== `Bearer ${token}`) {
      throw new Refusal(401, "User not authorized");
    }
  });
}
