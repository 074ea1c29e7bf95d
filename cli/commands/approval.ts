import type { Command } from "commander";
import { processEnvironment } from "../../core/connections.ts";
import { pullRequestTarget, type Overrides } from "../../core/previews/ci.ts";
import { addPullRequestOptions, openPullRequest } from "../pull-requests.ts";

interface Options extends Overrides {
  readonly checkout?: string;
}

export function addApproval(program: Command): void {
  const command = program
    .command("approval")
    .description(
      "whether a person with write access approved a pull request's very commit; exits with 6 if not",
    )
    .option(
      "--checkout <folder>",
      "put the approved commit, and its history, into this new folder",
    );
  addPullRequestOptions(command).action(async ({ checkout, ...overrides }: Options) => {
    const target = pullRequestTarget(processEnvironment(), overrides);
    const { requireApproval } = await import("../../automation/previews/approval.ts");
    const { host, token } = await openPullRequest(target);
    const { commit, runUrl: reportUrl, number, cloneUrl: url } = target;
    const approved = await requireApproval(host, { commit, reportUrl });
    if (checkout !== undefined) {
      const { checkOut } = await import("../../providers/git/checkout.ts");
      await checkOut(checkout, { url, token }, { number, ...approved });
    }
    console.log(JSON.stringify({ pullRequest: number, ...approved }));
  });
}
