import { z } from "zod";
import { connection } from "../../core/connections.ts";
import { InfraError } from "../../core/errors.ts";
import { jsonOrText } from "../answers.ts";
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

const repositoriesFound = z.object({
  data: z.array(
    z.object({
      full_name: z.string(),
      permissions: z.object({ admin: z.boolean(), push: z.boolean() }),
    }),
  ),
});

export type RepositoryRights = z.output<typeof repositoriesFound>["data"][number];

export type GiteaRepository = z.output<typeof repository>;

const user = z.object({
  login: z.string(),
  /** Only an administrator sees it. */
  is_admin: z.boolean().default(false),
});

const activity = z.object({ op_type: z.string(), act_user: user });

type GiteaActivity = z.output<typeof activity>;

const pull = z
  .object({ number: z.int(), html_url: z.string(), state: z.string() })
  .transform(({ number, html_url: url, state }) => ({ number, url, isOpen: state === "open" }));

interface PullRequestText {
  readonly title: string;
  /** Markdown. */
  readonly body: string;
}

const teams = z.array(z.object({ id: z.int(), permission: z.string() }));
const variable = z.object({ data: z.string() });

/** Gitea's maximum. */
const PAGE_SIZE = 50;

/** The settings of a repository, with the API's names. */
interface RepositorySettings {
  readonly description: string;
  readonly private: boolean;
  readonly default_branch: string;
}

/** Gitea reserves this name for repositories, and a variable's name consists of letters, digits and _. */
const IMPOSSIBLE_NAME = "-";

/** Gitea's redirect from the old name of a repository that was renamed or transferred. */
const MOVED = 301;

interface Account {
  readonly url: string;
  readonly token: string;
  /** The environment variable of the token, for errors. */
  readonly variable?: string;
}

/**
 * The calls of Gitea's API that are used here: https://docs.gitea.com/api. The token needs the scopes
 * write:organization and write:repository.
 */
export class Gitea {
  readonly #http: Http;

  constructor({ url, token, variable: credential = "GITEA_TOKEN" }: Account = connection("gitea")) {
    this.#http = new Http({
      system: "Gitea",
      url,
      headers: { authorization: `token ${token}` },
      secrets: [token],
      credential,
    });
  }

  /** The repository that has this name now, not one that had it before a rename or transfer. */
  async repository(owner: string, name: string): Promise<GiteaRepository | undefined> {
    try {
      return await this.#http.find(repositoryPath(owner, name), repository);
    } catch (error) {
      if (error instanceof InfraError && error.status === MOVED) return undefined;
      throw error;
    }
  }

  /** The repository with this number, whatever its name is now. */
  repositoryById(id: number): Promise<GiteaRepository | undefined> {
    return this.#http.find(`/api/v1/repositories/${id}`, repository);
  }

  /** `<owner>/<name>` of the repository that had this name before it was renamed or transferred. */
  async movedTo(owner: string, name: string): Promise<string | undefined> {
    const { status, headers } = await this.#http.raw("GET", repositoryPath(owner, name));
    if (status !== MOVED) return undefined;
    const [, to = "elsewhere"] = /\/repos\/([^/]+\/[^/?]+)/.exec(String(headers["location"])) ?? [];
    return decodeURIComponent(to);
  }

  createRepository(organization: string, name: string, settings: RepositorySettings) {
    return this.#http.call("POST", `${org(organization)}/repos`, repository, {
      json: { name, ...settings, auto_init: false },
    });
  }

  editRepository(
    owner: string,
    name: string,
    settings: Partial<RepositorySettings> & { readonly archived?: boolean; readonly name?: string },
  ): Promise<GiteaRepository> {
    return this.#http.call("PATCH", repositoryPath(owner, name), repository, { json: settings });
  }

  /** Keeps the other topics. */
  async addTopic(owner: string, name: string, topic: string): Promise<void> {
    await this.#http.send("PUT", `${repositoryPath(owner, name)}/topics/${segment(topic)}`);
  }

  async hasBranch(owner: string, name: string, branch: string): Promise<boolean> {
    const path = `${repositoryPath(owner, name)}/branches/${segment(branch)}`;
    return (await this.#http.find(path, z.object({ name: z.string() }))) !== undefined;
  }

  /** The newest pull request from the branch `head` into the branch `base`, open or not. */
  pullRequest(owner: string, name: string, base: string, head: string) {
    const path = `${repositoryPath(owner, name)}/pulls/${segment(base)}/${segment(head)}`;
    return this.#http.find(path, pull);
  }

  openPullRequest(
    owner: string,
    name: string,
    json: PullRequestText & { readonly base: string; readonly head: string },
  ) {
    return this.#http.call("POST", `${repositoryPath(owner, name)}/pulls`, pull, { json });
  }

  editPullRequest(owner: string, name: string, number: number, json: PullRequestText) {
    return this.#http.call("PATCH", `${repositoryPath(owner, name)}/pulls/${number}`, pull, {
      json,
    });
  }

  deleteRepository(owner: string, name: string): Promise<void> {
    return this.#http.remove(repositoryPath(owner, name));
  }

  /** The log of what was done with a repository. Gitea writes it; no user can. */
  async activities(owner: string, name: string): Promise<GiteaActivity[]> {
    const url = `${repositoryPath(owner, name)}/activities/feeds`;
    const all: GiteaActivity[] = [];
    for (let page = 1; ; page += 1) {
      const query = { page, limit: PAGE_SIZE };
      const found = await this.#http.call("GET", url, z.array(activity), { query });
      all.push(...found);
      if (found.length < PAGE_SIZE) return all;
    }
  }

  /** Whether this user is one of the organization's owners. */
  async isOwner(organization: string, login: string): Promise<boolean> {
    const found = await this.#http.call("GET", `${org(organization)}/teams`, teams, {
      query: { limit: PAGE_SIZE },
    });
    const owners = found.find(({ permission }) => permission === "owner");
    if (!owners) return false;
    const member = `/api/v1/teams/${owners.id}/members/${segment(login)}`;
    return (await this.#http.find(member, z.unknown())) !== undefined;
  }

  /**
   * Throws RDEV_FORBIDDEN unless the token sees every repository of the organization. Owners and site
   * administrators do. Gitea answers everybody else with 404 for a repository they have no right to.
   */
  async assertSeesAll(organization: string): Promise<void> {
    // Only owners and site administrators may list an organization's webhooks.
    const path = `${org(organization)}/hooks`;
    const answer = await this.#http.raw("GET", path, { query: { limit: 1 } });
    const { status } = answer;
    if (status === 200) return;
    if (status === 404 && (await this.#isSiteAdmin())) return; // there is no such organization
    if (status !== 403 && status !== 404) throw this.#http.failure("GET", path, answer);
    throw new InfraError(
      "RDEV_FORBIDDEN",
      `Gitea would not show GITEA_TOKEN every repository of the organization ${organization}, so ` +
        "nothing counts as gone. Use a token of one of the organization's owners, with the scopes " +
        "write:organization and write:repository.",
      { status },
    );
  }

  /**
   * Throws RDEV_FORBIDDEN, with Gitea's words, unless the token may write repositories and the
   * organization's variables. Changes nothing: Gitea checks a token's scopes before it looks for the
   * object, and no repository or variable can have this name.
   */
  async assertMayWrite(organization: string): Promise<void> {
    await this.assertMayWriteRepositories(organization);
    const refusal = await this.#refusal("DELETE", variablePath(organization, IMPOSSIBLE_NAME));
    if (refusal) throw refusal;
  }

  /** Like `assertMayWrite`, for the scope write:repository only. */
  async assertMayWriteRepositories(organization: string): Promise<void> {
    const refusal = await this.#refusal("PATCH", repositoryPath(organization, IMPOSSIBLE_NAME));
    if (refusal) throw refusal;
  }

  /** Whether the token may change the organization itself. Changes nothing. */
  async mayWriteOrganization(organization: string): Promise<boolean> {
    const refusal = await this.#refusal("DELETE", variablePath(organization, IMPOSSIBLE_NAME));
    if (refusal && refusal.code !== "RDEV_FORBIDDEN") throw refusal;
    return refusal === undefined;
  }

  async #refusal(method: "PATCH" | "DELETE", path: string): Promise<InfraError | undefined> {
    const answer = await this.#http.raw(method, path, method === "PATCH" ? { json: {} } : {});
    const { status } = answer;
    // Any other answer is about the name.
    if (status !== 401 && status !== 403 && status < 429) return undefined;
    return this.#http.failure(method, path, answer);
  }

  async organizationId(name: string): Promise<number> {
    const { id } = await this.#http.call("GET", org(name), z.object({ id: z.int() }));
    return id;
  }

  /** At most 50 of an organization's repositories that the token sees, with its account's rights. */
  async rightsIn(organizationId: number): Promise<RepositoryRights[]> {
    const query = { uid: organizationId, exclusive: true, limit: PAGE_SIZE };
    const path = "/api/v1/repos/search";
    const { data } = await this.#http.call("GET", path, repositoriesFound, { query });
    return data;
  }

  async #isSiteAdmin(): Promise<boolean> {
    const { status, text } = await this.#http.raw("GET", "/api/v1/user");
    return status === 200 && user.parse(jsonOrText(text)).is_admin;
  }

  /** A variable of the organization. Only its owners and site administrators can write it. */
  async variable(organization: string, name: string): Promise<string | undefined> {
    return (await this.#http.find(variablePath(organization, name), variable))?.data;
  }

  async setVariable(organization: string, name: string, value: string): Promise<void> {
    await this.deleteVariable(organization, name);
    await this.#http.send("POST", variablePath(organization, name), { json: { value } });
  }

  deleteVariable(organization: string, name: string): Promise<void> {
    return this.#http.remove(variablePath(organization, name));
  }
}

function org(name: string): string {
  return `/api/v1/orgs/${segment(name)}`;
}

function variablePath(organization: string, name: string): string {
  return `${org(organization)}/actions/variables/${segment(name)}`;
}

function repositoryPath(owner: string, name: string): string {
  return `/api/v1/repos/${segment(owner)}/${segment(name)}`;
}

function segment(text: string): string {
  return encodeURIComponent(text);
}
