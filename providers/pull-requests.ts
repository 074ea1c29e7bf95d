import { z } from "zod";
import { InfraError } from "../core/errors.ts";
import type { Candidate, Review } from "../core/previews/approval.ts";
import { Http, type HttpOptions } from "./http.ts";

/** The calls on a pull request that a preview report needs. */
export interface PullRequests {
  /** The host's maximum length of a comment, counted here in UTF-16 units, so never too long. */
  readonly maxComment: number;
  /** The current commit of the pull request's branch. */
  head(): Promise<string>;
  /** All comments, the oldest first. */
  comments(): Promise<Comment[]>;
  /** Throws RDEV_FORBIDDEN if the token may not comment. */
  post(body: string): Promise<Comment>;
  /** Returns false if the comment is gone, or belongs to another account. */
  edit(id: number, body: string): Promise<boolean>;
  /** Returns true also if the comment is gone, and false if it belongs to another account. */
  remove(id: number): Promise<boolean>;
  /**
   * Sets the status of a commit for this context. Returns the name of the account that set it: on
   * GitHub, a pipeline's token cannot learn its account in another way
   * (https://docs.github.com/rest/users/users).
   */
  setStatus(commit: string, status: CommitStatus): Promise<string | undefined>;
}

/** The calls that check the approval of a pull request. */
export interface ApprovalHost extends Pick<PullRequests, "setStatus"> {
  pull(): Promise<Candidate>;
  reviews(): Promise<Review[]>;
  /** Whether an account may now write to the repository. Throws RDEV_FORBIDDEN if the token may not ask. */
  mayWrite(account: string): Promise<boolean>;
}

export interface Comment {
  readonly id: number;
  readonly body: string;
  /** The account's name, or undefined if the account was deleted. */
  readonly author?: string | undefined;
}

export interface CommitStatus {
  readonly state: "pending" | "success" | "failure";
  /** The name that distinguishes it from other statuses of the commit. */
  readonly context: string;
  /** At most 140 characters, GitHub's limit. */
  readonly description: string;
  readonly url?: string | undefined;
}

/** Where a pull request is, and the token to use. */
export interface PullRequest {
  /** The API's address, without a trailing slash. */
  readonly url: string;
  readonly token: string;
  readonly owner: string;
  readonly repository: string;
  readonly number: number;
}

/** A comment in the answers of both hosts. The user is missing if the account was deleted. */
export const commentSchema = z
  .object({
    id: z.int(),
    body: z.string().nullish(),
    user: z.object({ login: z.string() }).nullish(),
  })
  .transform(({ id, body, user }): Comment => ({ id, body: body ?? "", author: user?.login }));

const pullSchema = z
  .object({
    state: z.string(),
    head: z.object({ sha: z.string() }),
    base: z.object({
      ref: z.string(),
      repo: z.object({ default_branch: z.string().nullish() }).nullish(),
    }),
    user: z.object({ login: z.string() }).nullish(),
    merged: z.boolean().nullish(),
    /** GitHub fills it before the merge as well, with a commit for tests. */
    merge_commit_sha: z.string().nullish(),
  })
  .transform(({ state, head, base, user, merged, merge_commit_sha: commit }): Candidate => ({
    isOpen: state === "open",
    head: head.sha,
    base: base.ref,
    defaultBranch: base.repo?.default_branch ?? undefined,
    author: user?.login,
    merged: merged ? (commit ?? undefined) : undefined,
  }));

const permissionSchema = z.object({ permission: z.string() });

const statusSchema = z.object({ creator: z.object({ login: z.string() }).nullish() });

/** The calls that Gitea's API has in common with GitHub's. */
export abstract class PullRequestHost implements PullRequests, ApprovalHost {
  /** GitHub answers 422 for more. Gitea has no limit of its own, but this keeps comments readable. */
  readonly maxComment = 65_536;
  protected readonly http: Http;
  protected readonly repository: string;
  protected readonly number: number;
  /** The permissions that include writing. */
  protected abstract readonly writing: readonly string[];

  /** `repositories` is the path of all repositories: `/repos`. */
  constructor(
    { owner, repository, number }: PullRequest,
    repositories: string,
    options: HttpOptions,
  ) {
    this.repository = `${repositories}/${encodeURIComponent(owner)}/${encodeURIComponent(repository)}`;
    this.number = number;
    this.http = new Http(options);
  }

  abstract comments(): Promise<Comment[]>;
  abstract reviews(): Promise<Review[]>;

  async head(): Promise<string> {
    return (await this.pull()).head;
  }

  pull(): Promise<Candidate> {
    return this.http.call("GET", `${this.repository}/pulls/${this.number}`, pullSchema);
  }

  async mayWrite(account: string): Promise<boolean> {
    const path = `${this.repository}/collaborators/${encodeURIComponent(account)}/permission`;
    const found = await this.http.find(path, permissionSchema);
    return found !== undefined && this.writing.includes(found.permission);
  }

  post(body: string): Promise<Comment> {
    const path = `${this.repository}/issues/${this.number}/comments`;
    return this.http.call("POST", path, commentSchema, { json: { body } });
  }

  edit(id: number, body: string): Promise<boolean> {
    const path = `${this.repository}/issues/comments/${id}`;
    return wasAllowed(this.http.send("PATCH", path, { json: { body } }));
  }

  remove(id: number): Promise<boolean> {
    const path = `${this.repository}/issues/comments/${id}`;
    return wasAllowed(this.http.remove(path));
  }

  async setStatus(
    commit: string,
    { state, context, description, url }: CommitStatus,
  ): Promise<string | undefined> {
    const path = `${this.repository}/statuses/${commit}`;
    const { creator } = await this.http.call("POST", path, statusSchema, {
      json: { state, context, description, ...(url !== undefined && { target_url: url }) },
    });
    return creator?.login;
  }
}

/** False if the call failed because the object is gone or belongs to another account. */
async function wasAllowed(change: Promise<unknown>): Promise<boolean> {
  try {
    await change;
    return true;
  } catch (error) {
    if (error instanceof InfraError && (error.status === 403 || error.status === 404)) return false;
    throw error;
  }
}
