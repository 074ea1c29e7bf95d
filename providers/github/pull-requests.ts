import { z } from "zod";
import type { Candidate, Review } from "../../core/previews/approval.ts";
import { Http } from "../http.ts";
import {
  commentSchema,
  permissionSchema,
  pullSchema,
  statusSchema,
  wasAllowed,
  type ApprovalHost,
  type Comment,
  type CommitStatus,
  type PullRequest,
  type PullRequests,
} from "../pull-requests.ts";

const NOTHING = z.unknown();

/** GitHub answers 422 for more: "Body is too long (maximum is 65536 characters)". */
const MAX_COMMENT = 65_536;
/** GitHub's maximum. */
const PAGE = 100;

const VERDICTS: Readonly<Record<string, Review["verdict"]>> = {
  APPROVED: "approved",
  CHANGES_REQUESTED: "rejected",
  DISMISSED: "rejected",
};

const reviewSchema = z
  .object({
    id: z.int(),
    user: z.object({ login: z.string(), type: z.string() }).nullish(),
    state: z.string(),
    commit_id: z.string().nullish(),
  })
  .transform(({ id, user, state, commit_id }): Review => ({
    id,
    reviewer: user?.login,
    isPerson: user?.type === "User",
    verdict: VERDICTS[state] ?? "other",
    commit: commit_id ?? undefined,
    isDismissed: state === "DISMISSED",
    isOfficial: true, // GitHub has no such field: the account's rights decide (`mayWrite`)
  }));

/**
 * A pull request on GitHub: https://docs.github.com/rest/issues/comments. The token needs
 * pull-requests: write and statuses: write.
 */
export class GithubPullRequests implements PullRequests, ApprovalHost {
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
        "user-agent": "rdev-infra", // GitHub refuses requests without one
      },
      secrets: [token],
      credential: "GITHUB_TOKEN",
    });
  }

  async head(): Promise<string> {
    return (await this.pull()).head;
  }

  pull(): Promise<Candidate> {
    return this.#http.call("GET", `${this.#repository}/pulls/${this.#number}`, pullSchema);
  }

  comments(): Promise<Comment[]> {
    return this.#all(`${this.#repository}/issues/${this.#number}/comments`, commentSchema);
  }

  /** https://docs.github.com/rest/pulls/reviews */
  reviews(): Promise<Review[]> {
    return this.#all(`${this.#repository}/pulls/${this.#number}/reviews`, reviewSchema);
  }

  /** GitHub reports "maintain" as "write": https://docs.github.com/rest/collaborators/collaborators */
  async mayWrite(account: string): Promise<boolean> {
    const path = `${this.#repository}/collaborators/${encodeURIComponent(account)}/permission`;
    const found = await this.#http.find(path, permissionSchema);
    return found?.permission === "write" || found?.permission === "admin";
  }

  async #all<T>(path: string, schema: z.ZodType<T>): Promise<T[]> {
    const found: T[] = [];
    for (let page = 1; ; page += 1) {
      const { data, headers } = await this.#http.callWithHeaders("GET", path, z.array(schema), {
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
    return wasAllowed(this.#http.call("PATCH", path, NOTHING, { json: { body } }));
  }

  remove(id: number): Promise<boolean> {
    const path = `${this.#repository}/issues/comments/${id}`;
    return wasAllowed(this.#http.remove(path, NOTHING));
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
 * Whether there is another page. A short page may not be the last, because GitHub leaves out hidden
 * comments: https://docs.github.com/rest/using-the-rest-api/using-pagination-in-the-rest-api
 */
function hasNext(link: string | string[] | undefined): boolean {
  return /;\s*rel="next"/.test([link ?? ""].flat().join(","));
}
