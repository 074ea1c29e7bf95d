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

/** Gitea itself sets no limit (a LONGTEXT column). GitHub's is as much as a reader takes. */
const MAX_COMMENT = 65_536;

/**
 * A pull request in Gitea: https://docs.gitea.com/api. The token needs the scopes write:issue and
 * write:repository (for the status).
 */
export class GiteaPullRequests implements PullRequests {
  readonly maxComment = MAX_COMMENT;
  readonly #http: Http;
  readonly #repository: string;
  readonly #number: number;

  constructor({ url, token, owner, repository, number }: PullRequest) {
    this.#repository = `/api/v1/repos/${encodeURIComponent(owner)}/${encodeURIComponent(repository)}`;
    this.#number = number;
    this.#http = new Http({
      system: "Gitea",
      url,
      headers: { authorization: `token ${token}` },
      secrets: [token],
      credential: "GITEA_COMMENT_TOKEN",
    });
  }

  async head(): Promise<string> {
    return (await this.#http.call("GET", `${this.#repository}/pulls/${this.#number}`, pullSchema))
      .head.sha;
  }

  /** Gitea gives all of them at once, and heeds no page (1.26, routers/api/v1/repo/issue_comment.go). */
  comments(): Promise<Comment[]> {
    const path = `${this.#repository}/issues/${this.#number}/comments`;
    return this.#http.call("GET", path, z.array(commentSchema));
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
    return unlessNotOurs(() =>
      this.#http.remove(`${this.#repository}/issues/comments/${id}`, NOTHING),
    );
  }

  async setStatus(commit: string, { state, context, description, url }: CommitStatus) {
    const path = `${this.#repository}/statuses/${commit}`;
    const { creator } = await this.#http.call("POST", path, statusSchema, {
      json: { state, context, description, ...(url !== undefined && { target_url: url }) },
    });
    return creator?.login;
  }
}
