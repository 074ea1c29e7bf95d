import type { Command } from "commander";
import { processEnvironment } from "../../core/connections.ts";
import { pullRequestTarget, type Overrides } from "../../core/previews/ci.ts";
import { EXIT } from "../exit-codes.ts";

interface ApprovalOptions extends Overrides {
  readonly checkout?: string;
}

export function addApproval(program: Command): void {
  const command = program
    .command("approval")
    .description(
      "check that a person with write access approved exactly this commit; exits with 6 if not",
    )
    .option("--checkout <folder>", "check out the approved commit into this new folder");
  addPullRequestOptions(command).action(async ({ checkout, ...overrides }: ApprovalOptions) => {
    const target = pullRequestTarget(processEnvironment(), overrides);
    const { requireApproval } = await import("../../automation/previews/approval.ts");
    const { openPullRequest } = await import("../../automation/previews/forge-host.ts");
    const { host, token } = openPullRequest(target);
    const { commit, runUrl: reportUrl, number, cloneUrl: url } = target;
    const approved = await requireApproval(host, { commit, reportUrl });
    if (checkout !== undefined) {
      const { checkOut } = await import("../../providers/git/checkout.ts");
      await checkOut(checkout, { url, token }, { number, ...approved });
    }
    console.log(JSON.stringify({ pullRequest: number, ...approved }));
  });
}

export function addReport(program: Command): void {
  const command = program
    .command("report <file>")
    .description("publish the report that preview --report wrote for an approved pull request");
  addPullRequestOptions(command).action(async (file: string, overrides: Overrides) => {
    const target = pullRequestTarget(processEnvironment(), overrides);
    const { requireApproval } = await import("../../automation/previews/approval.ts");
    const { showReport } = await import("../../automation/previews/show-report.ts");
    const { openPullRequest } = await import("../../automation/previews/forge-host.ts");
    const { host } = openPullRequest(target);
    const { commit, runUrl: reportUrl } = target;
    const approved = await requireApproval(host, { commit, reportUrl });
    const verdict = await showReport(host, { ...approved, file, reportUrl });
    if (verdict === "blocked") process.exitCode = EXIT.blocked;
    else if (verdict === "failed") process.exitCode = EXIT.failed;
  });
}

/** The options that name the pull request where CI's variables do not. */
export function addPullRequestOptions(command: Command): Command {
  return command
    .option("--forge <kind>", "gitea or github")
    .option("--forge-url <url>", "the address of the forge")
    .option("--repository <owner/name>", "the repository of the pull request")
    .option("--pull-request <number>", "the number of the pull request")
    .option("--commit <sha>", "the commit of the pull request's branch")
    .option("--report-url <url>", "the page with the whole report");
}
