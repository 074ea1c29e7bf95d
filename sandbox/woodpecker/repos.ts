import { createHmac, randomBytes } from "node:crypto";
import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { entryOf, entryOfAnyone, requireRight, userOf } from "./access.ts";
import { GiteaError, type Gitea, type GiteaRepository } from "./gitea.ts";
import { pageOf, Refusal } from "./http.ts";
import type { Repo, Store } from "./store.ts";

const APPROVAL_MODES = ["none", "forks", "pull_requests", "all_events"];
const VISIBILITIES = ["public", "private", "internal"];
const DEFAULT_TIMEOUT_MINUTES = 60;

const patchSchema = z.object({
  config_file: z.string().optional(),
  require_approval: z.string().optional(),
  approval_allowed_users: z.array(z.string()).optional(),
  timeout: z.number().int().optional(),
  visibility: z.string().optional(),
  allow_pr: z.boolean().optional(),
  allow_deploy: z.boolean().optional(),
  cancel_previous_pipeline_events: z.array(z.string()).optional(),
  netrc_trusted: z.array(z.string()).optional(),
  trusted: z
    .object({ network: z.boolean(), volumes: z.boolean(), security: z.boolean() })
    .partial()
    .optional(),
});

/** Activating, looking up, changing and deactivating repositories (server/api/repo.go). */
export function repoRoutes(app: FastifyInstance, store: Store): void {
  app.post("/api/repos", async (request) => {
    const { forge_remote_id: remoteId = "" } = request.query as { forge_remote_id?: string };
    if (remoteId === "" || remoteId === "0") {
      throw new Refusal(400, "No forge_remote_id provided");
    }
    const user = userOf(request);
    const { gitea } = user;
    const known = store.byForgeId(remoteId);
    if (known?.repo.active) throw new Refusal(409, "Repository is already active.");

    const from = await gitea.repository(remoteId).catch((cause: unknown) => {
      // The real server answers 500 even if the repository does not exist.
      throw new Refusal(500, "Could not fetch repository from forge.", { cause });
    });
    if (!from.permissions.admin) {
      throw new Refusal(403, "User has to be a admin of this repository");
    }

    const entry = known ?? {
      repo: newRepo(store, from),
      hash: randomBytes(32).toString("base64url"),
      secrets: new Map(),
      pipelines: [],
      logs: new Map(),
      owner: user,
    };
    await gitea
      .createHook(from.full_name, hookUrl(origin(app), remoteId, entry.hash), entry.hash)
      .catch((cause: unknown) => {
        throw new Refusal(500, "could not create webhook in forge.", { cause });
      });
    Object.assign(entry.repo, fromForge(store, from), { active: true });
    entry.owner = user;
    store.add(entry);
    return entry.repo;
  });

  app.get("/api/repos/lookup/*", async (request) => {
    const entry = store.byFullName((request.params as { "*": string })["*"]);
    if (!entry) throw new Refusal(404);
    await requireRight(entry, request, "pull");
    return entry.repo;
  });

  app.get("/api/repos/:repo_id", async (request) => (await entryOf(store, request)).repo);

  // As in the real server, this call reveals to every user whether a repository exists.
  app.get("/api/repos/:repo_id/permissions", async (request) => {
    const { repo } = entryOfAnyone(store, request);
    const { pull, push, admin } = await userOf(request).rightsIn(repo);
    return { pull, push, admin, synced: 0, created: 0, updated: 0 };
  });

  app.get("/api/repos/:repo_id/branches", async (request) => {
    const { repo, owner } = await entryOf(store, request);
    if (!owner) throw new Refusal(404);
    const names = await owner.gitea.branches(repo.full_name).catch((cause: unknown) => {
      throw new Refusal(500, `failed to load branches: ${String(cause)}`, { cause });
    });
    return pageOf(names, request);
  });

  app.patch("/api/repos/:repo_id", async (request) => {
    const { repo } = await entryOf(store, request, "admin");
    const parsed = patchSchema.safeParse(request.body);
    if (!parsed.success) throw new Refusal(400);
    const { trusted, ...patch } = parsed.data;
    if (patch.require_approval && !APPROVAL_MODES.includes(patch.require_approval)) {
      throw new Refusal(400, "Invalid require-approval setting");
    }
    if (patch.timeout !== undefined && patch.timeout < 1) {
      throw new Refusal(400, "Timeout must be at least 1 minute");
    }
    if (patch.visibility !== undefined && !VISIBILITIES.includes(patch.visibility)) {
      throw new Refusal(400, "Invalid visibility type");
    }
    Object.assign(repo, patch);
    Object.assign(repo.trusted, trusted);
    return repo;
  });

  app.delete("/api/repos/:repo_id", async (request) => {
    const entry = await entryOf(store, request, "admin");
    const { repo } = entry;
    const remove = isTrue((request.query as { remove?: string }).remove);
    await removeHook(app, userOf(request).gitea, repo, remove);
    if (remove) store.remove(repo.id);
    else {
      repo.active = false;
      entry.owner = undefined;
    }
    return repo;
  });
}

/** Ignores a repository that is gone from Gitea, and with `remove` every other failure too. */
async function removeHook(app: FastifyInstance, gitea: Gitea, repo: Repo, remove: boolean) {
  try {
    // By id, because the repository may have been renamed.
    const { full_name: fullName } = await gitea.repository(repo.forge_remote_id);
    await gitea.deleteHook(fullName, new URL(origin(app)).host);
  } catch (cause) {
    const isGone = cause instanceof GiteaError && cause.status === 404;
    if (!isGone && !remove) throw new Refusal(500, "", { cause });
  }
}

function newRepo(store: Store, from: GiteaRepository): Repo {
  const isPrivate = from.private || from.owner.visibility !== "public";
  return {
    id: store.nextId(),
    ...fromForge(store, from),
    private: isPrivate,
    visibility: isPrivate ? "private" : "public",
    timeout: DEFAULT_TIMEOUT_MINUTES,
    trusted: { network: false, volumes: false, security: false },
    require_approval: "forks",
    approval_allowed_users: null,
    active: false,
    allow_pr: true,
    allow_deploy: false,
    config_file: "",
    cancel_previous_pipeline_events: ["push", "pull_request"],
    netrc_trusted: null,
    config_extension_endpoint: "",
    config_extension_exclusive: false,
    config_extension_netrc: false,
    registry_extension_endpoint: "",
    registry_extension_netrc: false,
    secret_extension_endpoint: "",
    secret_extension_netrc: false,
  };
}

/** The properties copied from Gitea at every activation (toRepo in server/forge/gitea/helper.go). */
function fromForge(store: Store, from: GiteaRepository) {
  return {
    forge_id: 1,
    forge_remote_id: String(from.id),
    org_id: store.organizationId(from.owner.login),
    owner: from.owner.login,
    name: from.name,
    full_name: from.full_name,
    avatar_url: from.owner.avatar_url,
    forge_url: from.html_url,
    clone_url: from.clone_url,
    clone_url_ssh: from.ssh_url,
    default_branch: from.default_branch,
    pr_enabled: from.has_pull_requests,
  };
}

/** The webhook's URL. A signed token (JWT, HS256) identifies the repository. */
function hookUrl(base: string, remoteId: string, hash: string): string {
  const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString("base64url");
  const claims = { type: "hook", "repo-forge-remote-id": remoteId, "forge-id": "1" };
  const unsigned = `${encode({ alg: "HS256", typ: "JWT" })}.${encode(claims)}`;
  const signature = createHmac("sha256", hash).update(unsigned).digest("base64url");
  return `${base}/api/hook?access_token=${unsigned}.${signature}`;
}

function origin(app: FastifyInstance): string {
  return app.listeningOrigin;
}

/** Go's strconv.ParseBool; anything else is false. */
function isTrue(value: string | undefined): boolean {
  return ["1", "t", "T", "TRUE", "true", "True"].includes(value ?? "");
}
