import { request } from "undici";
import { z } from "zod";

export interface GiteaAccess {
  readonly url: string;
  readonly token: string;
}

/** Gitea answered with an error status. The message contains no token. */
export class GiteaError extends Error {
  readonly status: number;

  constructor(method: string, path: string, status: number) {
    super(`Gitea answered ${status} to ${method} ${path}`);
    this.name = "GiteaError";
    this.status = status;
  }
}

const userSchema = z.object({
  id: z.number(),
  login: z.string(),
  email: z.string(),
  avatar_url: z.string(),
});

const repositorySchema = z.object({
  id: z.number(),
  name: z.string(),
  full_name: z.string(),
  owner: z.object({ login: z.string(), avatar_url: z.string(), visibility: z.string() }),
  html_url: z.string(),
  clone_url: z.string(),
  ssh_url: z.string(),
  default_branch: z.string(),
  private: z.boolean(),
  has_pull_requests: z.boolean(),
  permissions: z.object({ admin: z.boolean(), push: z.boolean(), pull: z.boolean() }),
});

const branchSchema = z.object({ commit: z.object({ id: z.string(), url: z.string() }) });
const namesSchema = z.array(z.object({ name: z.string() }));
const hooksSchema = z.array(
  z.object({ id: z.number(), config: z.object({ url: z.string().optional() }) }),
);
const contentsSchema = z.array(z.object({ type: z.string(), path: z.string() }));

export type GiteaUser = z.infer<typeof userSchema>;
export type GiteaRepository = z.infer<typeof repositorySchema>;
export type GiteaBranch = z.infer<typeof branchSchema>;

const TIMEOUT_MS = 10_000;
const PAGE_SIZE = 50; // Gitea's own upper limit

/** The calls to Gitea that the real Woodpecker makes (its server/forge/gitea/gitea.go). */
export class Gitea {
  readonly #access: GiteaAccess;

  constructor(access: GiteaAccess) {
    this.#access = access;
  }

  /** Without a trailing slash. */
  get url(): string {
    return this.#access.url.replace(/\/$/, "");
  }

  /** The account that clones a repository over HTTP. */
  async cloneAccount(): Promise<{ readonly login: string; readonly token: string }> {
    return { login: (await this.user()).login, token: this.#access.token };
  }

  async user(): Promise<GiteaUser> {
    return userSchema.parse(await this.#call("GET", "/user"));
  }

  async repository(id: string): Promise<GiteaRepository> {
    const path = `/repositories/${encodeURIComponent(id)}`;
    return repositorySchema.parse(await this.#call("GET", path));
  }

  async branch(fullName: string, branch: string): Promise<GiteaBranch> {
    const path = `/repos/${fullName}/branches/${encodeURIComponent(branch)}`;
    return branchSchema.parse(await this.#call("GET", path));
  }

  async branches(fullName: string): Promise<string[]> {
    const names: string[] = [];
    for (let page = 1; ; page += 1) {
      const path = `/repos/${fullName}/branches?page=${page}&limit=${PAGE_SIZE}`;
      const found = namesSchema.parse(await this.#call("GET", path));
      names.push(...found.map(({ name }) => name));
      if (found.length < PAGE_SIZE) return names;
    }
  }

  /** The text of a file at a commit; empty if the file does not exist. */
  async file(fullName: string, path: string, commit: string): Promise<string> {
    return this.#textOrEmpty(`/repos/${fullName}/raw/${encodeURI(path)}?ref=${commit}`);
  }

  /** The paths of the files in a folder at a commit; none if the folder does not exist. */
  async files(fullName: string, folder: string, commit: string): Promise<string[]> {
    const text = await this.#textOrEmpty(`/repos/${fullName}/contents/${folder}?ref=${commit}`);
    const entries = contentsSchema.safeParse(text === "" ? [] : JSON.parse(text));
    // If the path is a file, Gitea answers with one object.
    return (entries.data ?? []).filter((entry) => entry.type === "file").map(({ path }) => path);
  }

  async createHook(fullName: string, url: string, secret: string): Promise<void> {
    await this.#call("POST", `/repos/${fullName}/hooks`, {
      type: "gitea",
      config: { url, secret, content_type: "json" },
      events: ["push", "create", "pull_request", "release"],
      active: true,
    });
  }

  /** Like the real server, deletes the first webhook with this host. */
  async deleteHook(fullName: string, host: string): Promise<void> {
    for (let page = 1; ; page += 1) {
      const path = `/repos/${fullName}/hooks?page=${page}&limit=${PAGE_SIZE}`;
      const hooks = hooksSchema.parse(await this.#call("GET", path));
      const ours = hooks.find(({ config }) => hostOf(config.url) === host);
      if (ours) {
        await this.#call("DELETE", `/repos/${fullName}/hooks/${ours.id}`);
        return;
      }
      if (hooks.length < PAGE_SIZE) return;
    }
  }

  async #textOrEmpty(path: string): Promise<string> {
    const { status, text } = await this.#send("GET", path);
    if (status === 404) return "";
    if (status >= 300) throw new GiteaError("GET", path, status);
    return text;
  }

  async #call(method: Method, path: string, body?: unknown): Promise<unknown> {
    const { status, text } = await this.#send(method, path, body);
    if (status >= 300) throw new GiteaError(method, path, status);
    return text === "" ? undefined : JSON.parse(text);
  }

  async #send(method: Method, path: string, body?: unknown) {
    const answer = await request(`${this.url}/api/v1${path}`, {
      method,
      headers: {
        authorization: `token ${this.#access.token}`,
        ...(body === undefined ? {} : { "content-type": "application/json" }),
      },
      body: body === undefined ? null : JSON.stringify(body),
      headersTimeout: TIMEOUT_MS,
      bodyTimeout: TIMEOUT_MS,
    });
    return { status: answer.statusCode, text: await answer.body.text() };
  }
}

type Method = "GET" | "POST" | "DELETE";

function hostOf(url: string | undefined): string | undefined {
  return url !== undefined && URL.canParse(url) ? new URL(url).host : undefined;
}
