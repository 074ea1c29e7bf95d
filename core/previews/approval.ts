/** A pull request, as far as its approval depends on it. */
export interface Candidate {
  readonly isOpen: boolean;
  /** The commit that its branch is at, in full. */
  readonly head: string;
  /** The branch that it would be merged into. */
  readonly base: string;
  /** The account that opened it; undefined where that is gone. */
  readonly author: string | undefined;
}

export interface Review {
  /** Rises with time. */
  readonly id: number;
  /** Undefined where the account is gone. */
  readonly reviewer: string | undefined;
  /** False for accounts of machines, where the host knows them. */
  readonly isPerson: boolean;
  /** `other` decides nothing: a comment, a request for a review, a draft. */
  readonly verdict: "approved" | "rejected" | "other";
  /** The commit that was reviewed, in full. */
  readonly commit: string | undefined;
  readonly isDismissed: boolean;
  /** The host counts it by its own rules, as of the moment of the review. */
  readonly isOfficial: boolean;
}

/** The approvals that may count, and why the others do not. */
export interface Approvers {
  /** They must be able to write to the repository now, which the host is asked. */
  readonly possible: readonly string[];
  readonly refused: readonly string[];
}

/** Why the pull request cannot be approved at all; undefined where it can. */
export function unfit({ isOpen, head }: Candidate, commit: string): string | undefined {
  if (!isOpen) return "the pull request is not open";
  if (head === commit) return undefined;
  return `its branch is at ${short(head)} now, not at ${short(commit)}`;
}

/**
 * Sorts the reviewers of a pull request. The latest verdict of each of them counts, and only for the
 * very commit that it was given for. `self` is the account that asks: it could approve by its own token.
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
  if (name === self?.toLowerCase()) return "is the account that asks";
  if (!isPerson) return "is no person";
  if (isDismissed) return "has a review that was dismissed";
  if (verdict === "rejected") return "asks for changes";
  if (commit !== wanted) return `approved another commit (${commit ? short(commit) : "unknown"})`;
  return isOfficial ? undefined : MAY_NOT_WRITE;
}

export const MAY_NOT_WRITE = "may not write to the repository";

/** Enough of a commit for people. */
export function short(commit: string): string {
  return commit.slice(0, 10);
}
