import { z } from "zod";
import type { Review } from "../../core/previews/approval.ts";
import {
  type Comment,
  commentSchema,
  type PullRequest,
  PullRequestHost,
} from "../pull-requests.ts";

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
export class GithubPullRequests extends PullRequestHost {
  /** GitHub reports "maintain" as "write": https://docs.github.com/rest/collaborators/collaborators */
  protected override readonly writing = ["write", "admin"];

  constructor(pull: PullRequest) {
    const { url, token } = pull;
    super(pull, "/repos", {
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

  comments(): Promise<Comment[]> {
    return this.#all(`${this.repository}/issues/${this.number}/comments`, commentSchema);
  }

  /** https://docs.github.com/rest/pulls/reviews */
  reviews(): Promise<Review[]> {
    return this.#all(`${this.repository}/pulls/${this.number}/reviews`, reviewSchema);
  }

  async #all<T>(path: string, schema: z.ZodType<T>): Promise<T[]> {
    const found: T[] = [];
    for (let page = 1; ; page += 1) {
      const { data, headers } = await this.http.callWithHeaders("GET", path, z.array(schema), {
        query: { per_page: PAGE, page },
      });
      found.push(...data);
      if (!hasNext(headers["link"])) return found;
    }
  }
}

/**
 * Whether there is another page. A short page may not be the last, because GitHub leaves out hidden
 * comments: https://docs.github.com/rest/using-the-rest-api/using-pagination-in-the-rest-api
 */
function hasNext(link: string | string[] | undefined): boolean {
  return /;\s*rel="next"/.test([link ?? ""].flat().join(","));
}
