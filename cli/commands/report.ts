import type { Command } from "commander";
import { processEnvironment } from "../../core/connections.ts";
import { pullRequestTarget, type Overrides } from "../../core/previews/ci.ts";
import { addPullRequestOptions, openPullRequest } from "../pull-requests.ts";
import { EXIT } from "../exit-codes.ts";

export function addReport(program: Command): void {
  const command = program
    .command("report <file>")
    .description("show the report of an approved pull request's preview, as --report wrote it");
  addPullRequestOptions(command).action(async (file: string, overrides: Overrides) => {
    const target = pullRequestTarget(processEnvironment(), overrides);
    const { requireApproval } = await import("../../automation/previews/approval.ts");
    const { showReport } = await import("../../automation/previews/show-report.ts");
    const { host } = await openPullRequest(target);
    const { commit, runUrl: reportUrl } = target;
    const approved = await requireApproval(host, { commit, reportUrl });
    const verdict = await showReport(host, { ...approved, file, reportUrl });
    if (verdict === "blocked") process.exitCode = EXIT.blocked;
    else if (verdict === "failed") process.exitCode = EXIT.failed;
  });
}
