import { z } from "zod";
import { Http } from "../http.ts";
import {
  commentSchema,
  pullSchema,
  statusSchema,
  unlessNotOurs,
  type Comment,
  type CommitStatus,
  type PullRequest,
  type PullRequests,
} from "../pull-requests.ts";

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
    return (await this.#http.call("GET", `${this.#repository}/pulls/${this.#number}`, pullSchema))
      .head.sha;
  }

  async comments(): Promise<Comment[]> {
    const path = `${this.#repository}/issues/${this.#number}/comments`;
    const found: Comment[] = [];
    for (let page = 1; ; page += 1) {
      const { data, headers } = await this.#http.ask("GET", path, z.array(commentSchema), {
        query: { per_page: PAGE, page },
      });
      found.push(...data);
      if (!hasNext(headers["link"])) return found;
    }
  }

  post(body: string): Promise<Comment> {
    const path = `${this.#repository}/issues/${this.#number}/comments`;
    return this.#http.call("POST", path, commentSchema, { json: { body } });
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
    const path = `${this.#repository}/statuses/${commit}`;
    const { creator } = await this.#http.call("POST", path, statusSchema, {
      json: { state, context, description, ...(url !== undefined && { target_url: url }) },
    });
    return creator?.login;
  }
}

/**
 * A page may be short, and not be the last: comments that GitHub hides are missing from it. What says
 * so is the header: https://docs.github.com/rest/using-the-rest-api/using-pagination-in-the-rest-api
 */
function hasNext(link: string | string[] | undefined): boolean {
  return /;\s*rel="next"/.test([link ?? ""].flat().join(","));
}
