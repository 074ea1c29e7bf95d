import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { InfraError } from "../../core/errors.ts";
import {
  isNewer,
  pendingBody,
  readMarker,
  reportBody,
  RESERVED,
  type Marker,
} from "../../core/previews/comment.ts";
import { code } from "../../core/previews/markdown.ts";
import type { Report } from "../../core/previews/model.ts";
import { renderReport } from "../../core/previews/render.ts";
import { summaryLine } from "../../core/previews/report.ts";
import { cutMiddle } from "../../core/previews/text.ts";
import type { Comment, CommitStatus, PullRequests } from "../../providers/pull-requests.ts";

/** What tells our status from others of a commit. */
export const CONTEXT = "rdev-infra/preview";
export const MAX_DESCRIPTION = 140;
/** In characters. */
const MAX_CAUSE = 2_000;
const MAX_TRIES = 6;
/** In ms; doubles with every try. */
const FIRST_WAIT = 300;
/** In ms: how long another run may take from its look at the comments to its change of one. */
const SETTLE = 1_000;

export interface ReportCommentOptions {
  /** The commit that is previewed, in full. */
  readonly commit: string;
  /** Where a person finds the whole report. */
  readonly reportUrl?: string | undefined;
  readonly settle?: number;
}

/** A comment's new text, from what it held before, and the commit that the branch is at. */
type Body = (before: string | undefined, head: string) => string;

/**
 * The one comment of a pull request, and the commit's status. Of several runs at once the one on the
 * branch's commit wins, and of those on the same the later one; a run that has lost writes nothing.
 * A comment of another account is never ours, whatever is in it.
 */
export class ReportComment {
  readonly #pulls: PullRequests;
  readonly #marker: Marker;
  readonly #options: ReportCommentOptions;
  /** Our account; undefined until a status was set. */
  #account: string | undefined;

  constructor(pulls: PullRequests, options: ReportCommentOptions) {
    this.#pulls = pulls;
    this.#options = options;
    const now = Date.now().toString().padStart(15, "0");
    this.#marker = { commit: options.commit, run: `${now}-${randomBytes(4).toString("hex")}` };
  }

  /** Says that this commit is being previewed; an older report stays below. */
  async begin(): Promise<void> {
    const limit = this.#pulls.maxComment;
    await this.#tell({ state: "pending", description: "previewing…" }, (before) =>
      pendingBody(this.#marker, before, limit),
    );
  }

  /** Shows the report. */
  async finish(report: Report): Promise<void> {
    const { reportUrl } = this.#options;
    const limit = this.#pulls.maxComment - RESERVED;
    const text = renderReport(report, { limit, ...(reportUrl && { reportUrl }) });
    const bad = report.verdict === "failed" || report.verdict === "blocked";
    const status = {
      state: bad ? "failure" : "success",
      description: summaryLine(report),
    } as const;
    await this.#tell(status, (_before, head) => reportBody(this.#marker, text, head));
  }

  /** Shows why there is no report. */
  async abandon(cause: string): Promise<void> {
    const text = `## ❌ No preview\n\n${code(cutMiddle(cause, MAX_CAUSE))}\n`;
    const status = { state: "failure", description: "no preview: it could not begin" } as const;
    await this.#tell(status, (_before, head) => reportBody(this.#marker, text, head));
  }

  /** The status first: it says whose comments are ours. Both are tried: a token may be good for one. */
  async #tell(status: Pick<CommitStatus, "state" | "description">, body: Body): Promise<void> {
    const [told] = await Promise.allSettled([this.#status(status)]);
    await this.#write(body);
    if (told.status === "rejected") throw told.reason;
  }

  async #status({ state, description }: Pick<CommitStatus, "state" | "description">) {
    const { commit, reportUrl: url } = this.#options;
    const status = { state, description: cutMiddle(description, MAX_DESCRIPTION), url };
    this.#account = await patiently(() =>
      this.#pulls.setStatus(commit, { ...status, context: CONTEXT }),
    );
  }

  /** Each try begins with a look: one that seemed to fail may have been done. */
  async #write(body: Body): Promise<void> {
    for (let round = 0; round < MAX_TRIES; round += 1) {
      if (await patiently(() => this.#writeOnce(body))) return;
    }
    throw new InfraError("RDEV_CONFLICT", "The comment is changed by others all the time.");
  }

  /** True when the comment is as it should be, and another run did not come between. */
  async #writeOnce(body: Body): Promise<boolean> {
    const { settle = SETTLE } = this.#options;
    const [head, ours] = await Promise.all([this.#pulls.head(), this.#ours()]);
    if (ours.some(({ marker }) => isNewer(marker, this.#marker, head))) return true;
    const kept = await this.#editFirst(ours, (before) => body(before, head));
    if (kept === undefined) await this.#pulls.post(body(undefined, head));
    for (const { id } of ours) if (id !== kept) await this.#pulls.remove(id);
    await sleep(settle);
    const after = await this.#ours();
    return after.length === 1 && !isNewer(this.#marker, after[0]!.marker, head);
  }

  /** The id of the first that could be edited; others may have made, deleted or copied one. */
  async #editFirst(
    ours: readonly Comment[],
    body: (before: string) => string,
  ): Promise<number | undefined> {
    for (const { id, body: before } of ours) {
      if (await this.#pulls.edit(id, body(before))) return id;
    }
    return undefined;
  }

  /** Without an account to compare with, only the host stands before the comments of others. */
  #isOurs({ author }: Comment): boolean {
    return this.#account === undefined || author === this.#account;
  }

  async #ours(): Promise<(Comment & { readonly marker: Marker })[]> {
    const comments = await this.#pulls.comments();
    return comments
      .flatMap((comment) => {
        const marker = this.#isOurs(comment) ? readMarker(comment.body) : undefined;
        return marker ? [{ ...comment, marker }] : [];
      })
      .toSorted((a, b) => a.id - b.id);
  }
}

/** Hosts behind a proxy answer 502 now and then. What is done here may be done twice. */
async function patiently<T>(work: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await work();
    } catch (error) {
      const passing = error instanceof InfraError && error.code === "RDEV_UNREACHABLE";
      if (!passing || tries === MAX_TRIES) throw error;
      await sleep(FIRST_WAIT * 2 ** (tries - 1));
    }
  }
}
