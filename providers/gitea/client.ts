import { z } from "zod";
import { connection } from "../../core/connections.ts";
import { Http } from "../http.ts";

const repository = z.object({
  id: z.int(),
  full_name: z.string(),
  description: z.string(),
  default_branch: z.string(),
  clone_url: z.string(),
  ssh_url: z.string(),
  html_url: z.string(),
  private: z.boolean(),
  archived: z.boolean(),
  empty: z.boolean(),
});

export type GiteaRepository = z.output<typeof repository>;

/** What may be set on a repository, in the API's own words. */
export interface RepositorySettings {
  readonly description: string;
  readonly private: boolean;
  readonly default_branch: string;
}

const NOTHING = z.unknown();

/**
 * Gitea's API, as far as it is used here: https://docs.gitea.com/api. The token needs the scopes
 * write:organization and write:repository.
 */
export class Gitea {
  readonly #http: Http;

  constructor({ url, token } = connection("gitea")) {
    this.#http = new Http({
      system: "Gitea",
      url,
      headers: { authorization: `token ${token}` },
      secrets: [token],
      credential: "GITEA_TOKEN",
    });
  }

  repository(owner: string, name: string): Promise<GiteaRepository | undefined> {
    return this.#http.find(path(owner, name), repository);
  }

  createRepository(organization: string, name: string, settings: RepositorySettings) {
    return this.#http.call("POST", `/api/v1/orgs/${segment(organization)}/repos`, repository, {
      json: { name, ...settings, auto_init: false },
    });
  }

  editRepository(
    owner: string,
    name: string,
    settings: Partial<RepositorySettings> & { readonly archived?: boolean },
  ): Promise<GiteaRepository> {
    return this.#http.call("PATCH", path(owner, name), repository, { json: settings });
  }

  async setTopics(owner: string, name: string, topics: readonly string[]): Promise<void> {
    await this.#http.call("PUT", `${path(owner, name)}/topics`, NOTHING, { json: { topics } });
  }

  deleteRepository(owner: string, name: string): Promise<void> {
    return this.#http.remove(path(owner, name), NOTHING);
  }
}

function path(owner: string, name: string): string {
  return `/api/v1/repos/${segment(owner)}/${segment(name)}`;
}

function segment(text: string): string {
  return encodeURIComponent(text);
}
