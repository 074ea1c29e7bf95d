import type { Command } from "commander";
import { connection } from "../core/connections.ts";
import type { PullRequestTarget } from "../core/previews/ci.ts";
import type { ApprovalHost, PullRequests } from "../providers/pull-requests.ts";

/** The host of a pull request, with the token that its variable holds. */
export async function openPullRequest(
  target: PullRequestTarget,
): Promise<{ readonly host: PullRequests & ApprovalHost; readonly token: string }> {
  if (target.forge === "github") {
    const { GithubPullRequests } = await import("../providers/github/pull-requests.ts");
    const { token } = connection("githubComments");
    return { host: new GithubPullRequests({ ...target, token }), token };
  }
  const { GiteaPullRequests } = await import("../providers/gitea/pull-requests.ts");
  const { token } = connection("giteaComments");
  return { host: new GiteaPullRequests({ ...target, token }), token };
}

/** The options that say which pull request, where CI's variables do not. */
export function addPullRequestOptions(command: Command): Command {
  return command
    .option("--forge <kind>", "gitea or github")
    .option("--forge-url <url>", "where it is")
    .option("--repository <owner/name>", "whose pull request")
    .option("--pull-request <number>", "which")
    .option("--commit <sha>", "of the pull request's branch")
    .option("--report-url <url>", "where the whole report can be seen");
}
