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

/** Gitea has no limit of its own (a LONGTEXT column). GitHub's limit keeps comments readable. */
const MAX_COMMENT = 65_536;

/** Gitea's default maximum. */
const PAGE = 50;

const WRITING: ReadonlySet<string> = new Set(["write", "admin", "owner"]);

const VERDICTS: Readonly<Record<string, Review["verdict"]>> = {
  APPROVED: "approved",
  REQUEST_CHANGES: "rejected",
};

const reviewSchema = z
  .object({
    id: z.int(),
    user: z.object({ login: z.string() }).nullish(),
    state: z.string(),
    commit_id: z.string().nullish(),
    dismissed: z.boolean(),
    official: z.boolean(),
  })
  .transform(({ id, user, state, commit_id, dismissed, official }): Review => ({
    id,
    reviewer: user?.login,
    isPerson: true, // Gitea does not distinguish accounts of machines and people
    verdict: VERDICTS[state] ?? "other",
    commit: commit_id ?? undefined,
    isDismissed: dismissed,
    isOfficial: official,
  }));

/**
 * A pull request in Gitea: https://docs.gitea.com/api. The token needs the scopes write:issue and
 * write:repository (for the status). To read approvals, its account must administer the repository.
 */
export class GiteaPullRequests implements PullRequests, ApprovalHost {
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
    return (await this.pull()).head;
  }

  pull(): Promise<Candidate> {
    return this.#http.call("GET", `${this.#repository}/pulls/${this.#number}`, pullSchema);
  }

  async reviews(): Promise<Review[]> {
    const path = `${this.#repository}/pulls/${this.#number}/reviews`;
    const found: Review[] = [];
    for (let page = 1; ; page += 1) {
      const query = { page, limit: PAGE };
      const reviews = await this.#http.call("GET", path, z.array(reviewSchema), { query });
      if (reviews.length === 0) return found; // a short page is not the end: a server may have a lower limit
      found.push(...reviews);
    }
  }

  /** Only an administrator of the repository, or of Gitea, may read the rights of another account. */
  async mayWrite(account: string): Promise<boolean> {
    const path = `${this.#repository}/collaborators/${encodeURIComponent(account)}/permission`;
    const found = await this.#http.find(path, permissionSchema);
    return WRITING.has(found?.permission ?? "none");
  }

  /** Gitea answers all comments at once and ignores `page` (1.26, routers/api/v1/repo/issue_comment.go). */
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
