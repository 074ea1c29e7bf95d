import { z } from "zod";
import { connection } from "../../core/connections.ts";
import { InfraError } from "../../core/errors.ts";
import { Gitea } from "../gitea/client.ts";
import { Http } from "../http.ts";

const repository = z.object({
  id: z.int(),
  forge_remote_id: z.string(),
  full_name: z.string(),
  active: z.boolean(),
});

export type WoodpeckerRepository = z.output<typeof repository>;

const secret = z.object({
  name: z.string(),
  events: z.array(z.string()),
  note: z.string().default(""),
});

/** Go writes an empty slice as `null`. */
const list = <T extends z.ZodType>(item: T) =>
  z
    .array(item)
    .nullish()
    .transform((items) => items ?? []);

const pipeline = z.object({
  number: z.int(),
  status: z.string(),
  errors: list(z.object({ message: z.string(), is_warning: z.boolean() })),
});

export type WoodpeckerPipeline = z.output<typeof pipeline>;

/** Woodpecker answers 204 without a body if filters exclude the pipeline. */
const triggered = pipeline.optional();

const rights = z.object({ pull: z.boolean(), push: z.boolean() });

/** Go leaves out a field that is false. */
const user = z.object({ login: z.string(), admin: z.boolean().default(false) });

/** Woodpecker's maximum. */
const PAGE_SIZE = 50;

/** The settings of a secret, with the API's names. */
interface SecretSettings {
  readonly value: string;
  readonly events: readonly string[];
  /** A comment, which holds the owner's mark. */
  readonly note: string;
}

/**
 * The calls of Woodpecker's API that are used here: https://woodpecker-ci.org/api (3.x, with notes on
 * secrets). The token is a personal access token of a user who administers the repositories.
 */
export class Woodpecker {
  /** Without a trailing slash. */
  readonly url: string;
  readonly #http: Http;

  constructor({ url, token } = connection("woodpecker")) {
    this.url = url;
    this.#http = new Http({
      system: "Woodpecker",
      url,
      headers: { authorization: `Bearer ${token}` },
      secrets: [token],
      credential: "WOODPECKER_TOKEN",
    });
  }

  /** The repository with this name, active or not. */
  repository(fullName: string): Promise<WoodpeckerRepository | undefined> {
    return this.#http.find(`/api/repos/lookup/${encodeURI(fullName)}`, repository);
  }

  repositoryById(repositoryId: number): Promise<WoodpeckerRepository | undefined> {
    return this.#http.find(`/api/repos/${repositoryId}`, repository);
  }

  /** The user's rights in a repository, also in a hidden one. Undefined if there is none. */
  rights(repositoryId: number) {
    return this.#http.find(`/api/repos/${repositoryId}/permissions`, rights);
  }

  user() {
    return this.#http.call("GET", "/api/user", user);
  }

  /** Activates a repository by its number on Gitea. */
  activate(forgeRemoteId: number): Promise<WoodpeckerRepository> {
    return this.#http.call("POST", "/api/repos", repository, {
      query: { forge_remote_id: forgeRemoteId },
    });
  }

  /** Deactivates a repository and deletes its secrets and pipelines. */
  remove(repositoryId: number): Promise<void> {
    return this.#http.remove(`/api/repos/${repositoryId}`, { query: { remove: true } });
  }

  secret(repositoryId: number, name: string) {
    return this.#http.find(secretPath(repositoryId, name), secret);
  }

  async createSecret(repositoryId: number, name: string, settings: SecretSettings): Promise<void> {
    await this.#http.send("POST", `/api/repos/${repositoryId}/secrets`, {
      json: { name, ...settings },
    });
  }

  async editSecret(repositoryId: number, name: string, settings: SecretSettings): Promise<void> {
    const path = secretPath(repositoryId, name);
    await this.#http.send("PATCH", path, { json: settings });
  }

  /** Keeps the secret's value and events. */
  async noteSecret(repositoryId: number, name: string, note: string): Promise<void> {
    await this.#http.send("PATCH", secretPath(repositoryId, name), { json: { note } });
  }

  deleteSecret(repositoryId: number, name: string): Promise<void> {
    return this.#http.remove(secretPath(repositoryId, name));
  }

  /** The newest pipeline run of a repository, for any branch and event. */
  async latestPipeline(repositoryId: number) {
    const path = `/api/repos/${repositoryId}/pipelines`;
    const found = await this.#http.find(path, list(pipeline), { query: { page: 1, perPage: 1 } });
    return found?.[0];
  }

  /**
   * Starts a run. Woodpecker answers without a pipeline if filters exclude it, and also if it cannot
   * read the configuration. In the latter case it stores a run with the reason.
   */
  async createPipeline(repositoryId: number, branch: string) {
    const path = `/api/repos/${repositoryId}/pipelines`;
    const { data, headers } = await this.#http.callWithHeaders("POST", path, triggered, {
      json: { branch },
    });
    return { pipeline: data, isFiltered: headers["pipeline-filtered"] !== undefined };
  }

  async hasBranch(repositoryId: number, branch: string): Promise<boolean> {
    const path = `/api/repos/${repositoryId}/branches`;
    for (let page = 1; ; page += 1) {
      const query = { page, perPage: PAGE_SIZE };
      const found = await this.#http.call("GET", path, list(z.string()), { query });
      if (found.includes(branch)) return true;
      if (found.length < PAGE_SIZE) return false;
    }
  }
}

function secretPath(repositoryId: number, name: string): string {
  return `/api/repos/${repositoryId}/secrets/${encodeURIComponent(name)}`;
}

/**
 * Throws RDEV_FORBIDDEN if Woodpecker hides this repository, or its secrets, from the token's user:
 * Woodpecker answers 404 for anything that the user has no right to.
 */
export async function assertMay(
  woodpecker: Woodpecker,
  right: "pull" | "push",
  repositoryId: number,
): Promise<void> {
  const found = await woodpecker.rights(repositoryId);
  if (found && !found[right]) throw forbidden(`repository ${repositoryId}`);
}

/**
 * Throws RDEV_FORBIDDEN unless the token sees every repository of the organization. An administrator
 * of Woodpecker sees all. An owner of the organization sees all that exist on Gitea.
 */
export async function assertSeesAll(woodpecker: Woodpecker, organization: string): Promise<void> {
  const { admin, login } = await woodpecker.user();
  if (admin || (await new Gitea().isOwner(organization, login))) return;
  throw forbidden(`the organization ${organization}`);
}

function forbidden(what: string): InfraError {
  return new InfraError(
    "RDEV_FORBIDDEN",
    `Woodpecker does not show WOODPECKER_TOKEN all of ${what}, so nothing counts as gone. Use a ` +
      "token of an administrator of Woodpecker, or of an owner of the organization on Gitea.",
  );
}
