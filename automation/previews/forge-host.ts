import { connection } from "../../core/connections.ts";
import type { PullRequestTarget } from "../../core/previews/ci.ts";
import { GiteaPullRequests } from "../../providers/gitea/pull-requests.ts";
import { GithubPullRequests } from "../../providers/github/pull-requests.ts";
import type { ApprovalHost, PullRequests } from "../../providers/pull-requests.ts";

/** Opens the host of a pull request, with the token from its variable. */
export function openPullRequest(target: PullRequestTarget): {
  readonly host: PullRequests & ApprovalHost;
  readonly token: string;
} {
  if (target.forge === "github") {
    const { token } = connection("githubComments");
    return { host: new GithubPullRequests({ ...target, token }), token };
  }
  const { token } = connection("giteaComments");
  return { host: new GiteaPullRequests({ ...target, token }), token };
}
