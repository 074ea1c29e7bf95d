import { z } from "zod";
import { InfraError } from "../core/errors.ts";
import type { Candidate, Review } from "../core/previews/approval.ts";

/** A pull request at its host, as far as a report on it needs. */
export interface PullRequests {
  /** The longest comment that the host takes, in characters (UTF-16, so never too many). */
  readonly maxComment: number;
  /** The commit that the pull request's branch is at now. */
  head(): Promise<string>;
  /** All comments, of all pages, the oldest first. */
  comments(): Promise<Comment[]>;
  /** Throws RDEV_FORBIDDEN where the token may not comment. */
  post(body: string): Promise<Comment>;
  /** False where there is no such comment any more, or it is another's. */
  edit(id: number, body: string): Promise<boolean>;
  /** Done as well where it is gone. False where it is another's. */
  remove(id: number): Promise<boolean>;
  /**
   * Sets the one status of a commit that goes by this context. The name of the account that did, where
   * it has one: GitHub tells the tokens of its pipelines nowhere else
   * (https://docs.github.com/rest/users/users).
   */
  setStatus(commit: string, status: CommitStatus): Promise<string | undefined>;
}

/** What an approval is asked with. */
export interface ApprovalHost extends Pick<PullRequests, "setStatus"> {
  pull(): Promise<Candidate>;
  /** All reviews, of all pages. */
  reviews(): Promise<Review[]>;
  /** Whether an account may write to the repository's code now. Throws RDEV_FORBIDDEN where the token may not ask. */
  mayWrite(account: string): Promise<boolean>;
}

export interface Comment {
  readonly id: number;
  readonly body: string;
  /** The account's name; undefined where the account is gone. */
  readonly author?: string | undefined;
}

export interface CommitStatus {
  readonly state: "pending" | "success" | "failure";
  /** What tells it from other statuses of the commit. */
  readonly context: string;
  /** At most 140 characters: GitHub's limit. */
  readonly description: string;
  readonly url?: string | undefined;
}

/** Which pull request, and where. */
export interface PullRequest {
  /** The API's address, without a trailing slash. */
  readonly url: string;
  readonly token: string;
  readonly owner: string;
  readonly repository: string;
  readonly number: number;
}

/** A comment as both hosts tell it; of an account that is gone there may be nothing. */
export const commentSchema = z
  .object({
    id: z.int(),
    body: z.string().nullish(),
    user: z.object({ login: z.string() }).nullish(),
  })
  .transform(({ id, body, user }): Comment => ({ id, body: body ?? "", author: user?.login }));

export const pullSchema = z
  .object({
    state: z.string(),
    head: z.object({ sha: z.string() }),
    base: z.object({ ref: z.string() }),
    user: z.object({ login: z.string() }).nullish(),
  })
  .transform(({ state, head, base, user }): Candidate => ({
    isOpen: state === "open",
    head: head.sha,
    base: base.ref,
    author: user?.login,
  }));

/** An account's rights on a repository. */
export const permissionSchema = z.object({ permission: z.string() });

export const statusSchema = z.object({ creator: z.object({ login: z.string() }).nullish() });

/** False where the object is gone, or another's. */
export async function unlessNotOurs(change: () => Promise<unknown>): Promise<boolean> {
  try {
    await change();
    return true;
  } catch (error) {
    if (error instanceof InfraError && (error.status === 403 || error.status === 404)) return false;
    throw error;
  }
}
