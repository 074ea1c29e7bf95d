import { problems } from "../../core/errors.ts";
import { approversOf, MAY_NOT_WRITE, short, unfit } from "../../core/previews/approval.ts";
import { cutMiddle } from "../../core/previews/text.ts";
import type { ApprovalHost, CommitStatus } from "../../providers/pull-requests.ts";
import { CONTEXT, MAX_DESCRIPTION } from "./comment.ts";

interface Approved {
  readonly commit: string;
  /** The target branch of the pull request. */
  readonly base: string;
  readonly by: string;
}

export interface ApprovalOptions {
  /** Default: the head of the pull request's branch. */
  readonly commit?: string | undefined;
  readonly reportUrl?: string | undefined;
}

/**
 * Checks with the host that a person with write access approved exactly this commit, and sets the
 * result as the commit's status. Throws RDEV_APPROVAL with every reason if nobody did.
 */
export async function requireApproval(
  host: ApprovalHost,
  { commit: wanted, reportUrl: url }: ApprovalOptions = {},
): Promise<Approved> {
  const pull = await host.pull();
  const commit = wanted ?? pull.head;
  const problem = unfit(pull, commit);
  if (problem !== undefined) throw refused(commit, [problem]);
  const show = (description: string) => {
    const text = cutMiddle(description, MAX_DESCRIPTION);
    const status: CommitStatus = { state: "pending", context: CONTEXT, description: text, url };
    return host.setStatus(commit, status);
  };
  const waiting = `waiting for a person with write access to approve ${short(commit)}`;
  const self = await show(waiting);
  const { possible, refused: why } = approversOf(pull, commit, await host.reviews(), self);
  const reasons = [...why];
  for (const by of possible) {
    if (await host.mayWrite(by)) {
      await show(`approved by ${by}; the preview is running`);
      return { commit, base: pull.base, by };
    }
    reasons.push(`${by} ${MAY_NOT_WRITE}`);
  }
  throw refused(commit, reasons.length > 0 ? reasons : ["nobody has reviewed it"]);
}

function refused(commit: string, reasons: readonly string[]) {
  return problems(
    "RDEV_APPROVAL",
    `The commit ${short(commit)} may not be previewed: a person with write access to the repository, ` +
      "who is not the pull request's author, must approve exactly this commit. Then run this again.",
    reasons,
  );
}
