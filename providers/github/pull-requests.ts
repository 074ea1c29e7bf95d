import { z } from "zod";
import { Http } from "../http.ts";
import {
  unlessNotOurs,
  type Comment,
  type CommitStatus,
  type PullRequest,
  type PullRequests,
} from "../pull-requests.ts";

const comment = z.object({
  id: z.int(),
  body: z
    .string()
    .nullish()
    .transform((body) => body ?? ""),
});
const pull = z.object({ head: z.object({ sha: z.string() }) });
const NOTHING = z.unknown();

/** "Body is too long (maximum is 65536 characters)", says its 422. */
const MAX_COMMENT = 65_536;
/** The most that it gives at once. */
const PAGE = 100;

/**
 * A pull request on GitHub: https://docs.github.com/rest/issues/comments. The token needs
 * pull-requests: write and statuses: write.
 */
export class GithubPullRequests implements PullRequests {
  readonly maxComment = MAX_COMMENT;
  readonly #http: Http;
  readonly #repository: string;
  readonly #number: number;

  constructor({ url, token, owner, repository, number }: PullRequest) {
    this.#repository = `/repos/${encodeURIComponent(owner)}/${encodeURIComponent(repository)}`;
    this.#number = number;
    this.#http = new Http({
      system: "GitHub",
      url,
      headers: {
        authorization: `Bearer ${token}`,
        "x-github-api-version": "2022-11-28",
        "user-agent": "rdev-infra", // it refuses requests without one
      },
      secrets: [token],
      credential: "GITHUB_TOKEN",
    });
  }

  async head(): Promise<string> {
    return (await this.#http.call("GET", `${this.#repository}/pulls/${this.#number}`, pull)).head
      .sha;
  }

  async comments(): Promise<Comment[]> {
    const path = `${this.#repository}/issues/${this.#number}/comments`;
    const found: Comment[] = [];
    for (let page = 1; ; page += 1) {
      const query = { per_page: PAGE, page };
      const some = await this.#http.call("GET", path, z.array(comment), {
        query,
        headers: { accept: "application/vnd.github+json" },
      });
      found.push(...some);
      if (some.length < PAGE) return found;
    }
  }

  post(body: string): Promise<Comment> {
    const path = `${this.#repository}/issues/${this.#number}/comments`;
    return this.#http.call("POST", path, comment, { json: { body } });
  }

  edit(id: number, body: string): Promise<boolean> {
    const path = `${this.#repository}/issues/comments/${id}`;
    return unlessNotOurs(() => this.#http.call("PATCH", path, NOTHING, { json: { body } }));
  }

  remove(id: number): Promise<boolean> {
    const path = `${this.#repository}/issues/comments/${id}`;
    return unlessNotOurs(() => this.#http.remove(path, NOTHING));
  }

  async setStatus(commit: string, { state, context, description, url }: CommitStatus) {
    await this.#http.call("POST", `${this.#repository}/statuses/${commit}`, NOTHING, {
      json: { state, context, description, ...(url !== undefined && { target_url: url }) },
    });
  }
}
