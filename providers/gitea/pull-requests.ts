import { z } from "zod";
import type { Review } from "../../core/previews/approval.ts";
import {
  type Comment,
  commentSchema,
  type PullRequest,
  PullRequestHost,
} from "../pull-requests.ts";

/** Gitea's default maximum. */
const PAGE = 50;

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
 * write:repository (for the status). To read approvals, its account must administer the repository:
 * only then may it read the rights of other accounts.
 */
export class GiteaPullRequests extends PullRequestHost {
  protected override readonly writing = ["write", "admin", "owner"];

  constructor(pull: PullRequest) {
    const { url, token } = pull;
    super(pull, "/api/v1/repos", {
      system: "Gitea",
      url,
      headers: { authorization: `token ${token}` },
      secrets: [token],
      credential: "GITEA_COMMENT_TOKEN",
    });
  }

  /** Gitea answers all comments at once and ignores `page` (1.26, routers/api/v1/repo/issue_comment.go). */
  comments(): Promise<Comment[]> {
    const path = `${this.repository}/issues/${this.number}/comments`;
    return this.http.call("GET", path, z.array(commentSchema));
  }

  async reviews(): Promise<Review[]> {
    const path = `${this.repository}/pulls/${this.number}/reviews`;
    const found: Review[] = [];
    for (let page = 1; ; page += 1) {
      const query = { page, limit: PAGE };
      const reviews = await this.http.call("GET", path, z.array(reviewSchema), { query });
      if (reviews.length === 0) return found; // a short page is not the end: a server may have a lower limit
      found.push(...reviews);
    }
  }
}
