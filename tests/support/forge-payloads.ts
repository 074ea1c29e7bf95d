interface CommentOptions {
  readonly body: string;
  readonly by: string;
  readonly host?: "gitea" | "github";
  readonly id?: number;
  readonly at?: Date;
  readonly action?: string;
  readonly isPull?: boolean;
  readonly type?: string;
  readonly repository?: string;
}

/** A comment on the pull request `acme/infra#7`, as Gitea or GitHub sends it. */
export function comment({ host = "gitea", isPull = true, ...options }: CommentOptions): string {
  const { body, by, id = 1, at = new Date(), action = "created", type } = options;
  const pull = isPull ? { pull_request: { html_url: "https://git.example.test/7" } } : {};
  return JSON.stringify({
    action,
    ...(host === "gitea" && { is_pull: isPull }),
    issue: { number: 7, ...(host === "github" ? pull : { pull_request: null }) },
    comment: { id, body, created_at: at.toISOString(), user: { login: by, ...(type && { type }) } },
    repository: { full_name: options.repository ?? "acme/infra" },
  });
}

interface PullRequestOptions {
  readonly head: string;
  readonly at?: Date;
  readonly review?: object;
  /** The account that merged it. */
  readonly mergedBy?: string;
}

/** An event of the pull request itself: it was opened, pushed to, reviewed or merged. */
export function pullRequest({
  head,
  at = new Date(),
  review,
  mergedBy,
}: PullRequestOptions): string {
  const merged = mergedBy !== undefined;
  return JSON.stringify({
    action: review ? "submitted" : merged ? "closed" : "synchronize",
    pull_request: { number: 7, head: { sha: head }, updated_at: at.toISOString(), merged },
    ...(merged && { sender: { login: mergedBy } }),
    ...(review && { review }),
    repository: { full_name: "acme/infra" },
  });
}
