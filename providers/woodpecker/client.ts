import { z } from "zod";
import { connection } from "../../core/connections.ts";
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

// A Go slice that is empty may be `null` in JSON.
const errors = z
  .array(z.object({ message: z.string(), is_warning: z.boolean() }))
  .nullish()
  .transform((list) => list ?? []);

const pipeline = z.object({ number: z.int(), status: z.string(), errors });

export type WoodpeckerPipeline = z.output<typeof pipeline>;

// Filtered out, a pipeline is no error to Woodpecker: 204 and no body.
const triggered = pipeline.optional();
const pipelines = z
  .array(pipeline)
  .nullable()
  .transform((list) => list ?? []);

const rights = z.object({ pull: z.boolean(), push: z.boolean() });

/** Go leaves out what is false. */
const user = z.object({ login: z.string(), admin: z.boolean().default(false) });

const branches = z
  .array(z.string())
  .nullable()
  .transform((list) => list ?? []);

/** Woodpecker's upper limit. */
const PAGE_SIZE = 50;

const NOTHING = z.unknown();

/** What may be set on a secret, in the API's own words. */
export interface SecretSettings {
  readonly value: string;
  readonly events: readonly string[];
  /** For people; here the owner's mark. */
  readonly note: string;
}

/**
 * Woodpecker's API, as far as it is used here: https://woodpecker-ci.org/api (3.x with notes on
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

  /** The repository that Woodpecker knows by this name, active or not. */
  repository(fullName: string): Promise<WoodpeckerRepository | undefined> {
    return this.#http.find(`/api/repos/lookup/${encodeURI(fullName)}`, repository);
  }

  repositoryById(repositoryId: number): Promise<WoodpeckerRepository | undefined> {
    return this.#http.find(`/api/repos/${repositoryId}`, repository);
  }

  /** What the user may do in a repository, seen or not; undefined where there is none. */
  rights(repositoryId: number) {
    return this.#http.find(`/api/repos/${repositoryId}/permissions`, rights);
  }

  /** The token's user. */
  user() {
    return this.#http.call("GET", "/api/user", user);
  }

  /** By the forge's own number of the repository. */
  activate(forgeRemoteId: number): Promise<WoodpeckerRepository> {
    return this.#http.call("POST", "/api/repos", repository, {
      query: { forge_remote_id: forgeRemoteId },
    });
  }

  /** Deactivates the repository, and forgets its secrets and pipelines. */
  remove(repositoryId: number): Promise<void> {
    return this.#http.remove(`/api/repos/${repositoryId}`, NOTHING, { query: { remove: true } });
  }

  secret(repositoryId: number, name: string) {
    return this.#http.find(secretPath(repositoryId, name), secret);
  }

  async createSecret(repositoryId: number, name: string, settings: SecretSettings): Promise<void> {
    await this.#http.call("POST", `/api/repos/${repositoryId}/secrets`, NOTHING, {
      json: { name, ...settings },
    });
  }

  async editSecret(repositoryId: number, name: string, settings: SecretSettings): Promise<void> {
    const path = secretPath(repositoryId, name);
    await this.#http.call("PATCH", path, NOTHING, { json: settings });
  }

  deleteSecret(repositoryId: number, name: string): Promise<void> {
    return this.#http.remove(secretPath(repositoryId, name), NOTHING);
  }

  /** The newest run of a repository's pipeline, of whatever branch and event. */
  async latestPipeline(repositoryId: number) {
    const path = `/api/repos/${repositoryId}/pipelines`;
    const found = await this.#http.find(path, pipelines, { query: { page: 1, perPage: 1 } });
    return found?.[0];
  }

  /**
   * Starts a run by hand. Woodpecker answers no pipeline where filters leave nothing of it, and also
   * where it could not read the configuration: then it keeps a run that says why.
   */
  async createPipeline(repositoryId: number, branch: string) {
    const path = `/api/repos/${repositoryId}/pipelines`;
    const { data, headers } = await this.#http.ask("POST", path, triggered, { json: { branch } });
    return { pipeline: data, isFiltered: headers["pipeline-filtered"] !== undefined };
  }

  async hasBranch(repositoryId: number, branch: string): Promise<boolean> {
    for (let page = 1; ; page += 1) {
      const found = await this.#http.call("GET", `/api/repos/${repositoryId}/branches`, branches, {
        query: { page, perPage: PAGE_SIZE },
      });
      if (found.includes(branch)) return true;
      if (found.length < PAGE_SIZE) return false;
    }
  }
}

function secretPath(repositoryId: number, name: string): string {
  return `/api/repos/${repositoryId}/secrets/${encodeURIComponent(name)}`;
}
