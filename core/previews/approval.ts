/** The fields of a pull request that its approval depends on. */
export interface Candidate {
  readonly isOpen: boolean;
  /** The full SHA of the commit at the head of its branch. */
  readonly head: string;
  /** The target branch. */
  readonly base: string;
  /** The default branch of the repository; undefined if the host does not name it. */
  readonly defaultBranch?: string | undefined;
  /** The account that opened it; undefined if the account was deleted. */
  readonly author: string | undefined;
  /** The full SHA of the commit that brought it into the target branch; undefined unless it is merged. */
  readonly merged?: string | undefined;
}

export interface Review {
  /** Later reviews have higher ids. */
  readonly id: number;
  /** Undefined if the account was deleted. */
  readonly reviewer: string | undefined;
  /** False for machine accounts, if the host knows them. */
  readonly isPerson: boolean;
  /** `other` has no effect: a comment, a review request, a draft. */
  readonly verdict: "approved" | "rejected" | "other";
  /** The full SHA of the reviewed commit. */
  readonly commit: string | undefined;
  readonly isDismissed: boolean;
  /** Whether the host counted the review by its own rules when it was given. */
  readonly isOfficial: boolean;
}

/** The reviewers whose approval may count, and why the others' does not. */
interface Approvers {
  /** The caller must still ask the host whether they can write to the repository now. */
  readonly possible: readonly string[];
  readonly refused: readonly string[];
}

/** Returns why the pull request cannot be approved at all; undefined if it can. */
export function unfit({ isOpen, head }: Candidate, commit: string): string | undefined {
  if (!isOpen) return "the pull request is not open";
  if (head === commit) return undefined;
  return `its branch is at ${short(head)} now, not at ${short(commit)}`;
}

/**
 * Sorts the reviewers of a pull request. Each reviewer's latest verdict counts, and only for the commit
 * that it was given for. `self` is our own account: its token could approve anything, so it never counts.
 */
export function approversOf(
  { author }: Candidate,
  commit: string,
  reviews: readonly Review[],
  self: string | undefined,
): Approvers {
  const latest = new Map<string, Review>();
  for (const review of reviews.toSorted((a, b) => a.id - b.id)) {
    if (review.verdict === "other" || review.reviewer === undefined) continue;
    latest.set(review.reviewer.toLowerCase(), review);
  }
  const possible: string[] = [];
  const refused: string[] = [];
  for (const review of latest.values()) {
    const reviewer = review.reviewer ?? "";
    const why = refusal(review, commit, author, self);
    if (why === undefined) possible.push(reviewer);
    else refused.push(`${reviewer} ${why}`);
  }
  return { possible, refused };
}

function refusal(
  { reviewer = "", isPerson, verdict, commit, isDismissed, isOfficial }: Review,
  wanted: string,
  author: string | undefined,
  self: string | undefined,
): string | undefined {
  const name = reviewer.toLowerCase();
  if (name === author?.toLowerCase()) return "is its author";
  if (name === self?.toLowerCase()) return "is the account that runs this check";
  if (!isPerson) return "is not a person";
  if (isDismissed) return "has a review that was dismissed";
  if (verdict === "rejected") return "asks for changes";
  if (commit !== wanted) return `approved another commit (${commit ? short(commit) : "unknown"})`;
  return isOfficial ? undefined : MAY_NOT_WRITE;
}

export const MAY_NOT_WRITE = "may not write to the repository";

/** The start of a commit's SHA, for messages. */
export function short(commit: string): string {
  return commit.slice(0, 10);
}
