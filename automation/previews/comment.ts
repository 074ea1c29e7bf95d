import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import pRetry from "p-retry";
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

/** The name of our commit status. */
export const CONTEXT = "rdev-infra/preview";
export const MAX_DESCRIPTION = 140;
/** In characters. */
const MAX_CAUSE = 2_000;
const MAX_TRIES = 6;
/** In ms; doubles with every try. */
const FIRST_WAIT = 300;
/** In ms: how long another run may take between reading the comments and changing one. */
const SETTLE = 1_000;

interface ReportCommentOptions {
  /** The full SHA of the previewed commit. */
  readonly commit: string;
  /** The URL of the whole report. */
  readonly reportUrl?: string | undefined;
  readonly settle?: number;
}

/** Builds a comment's new text from its previous text and the head of the branch. */
type Body = (before: string | undefined, head: string) => string;

/**
 * Keeps one comment on a pull request, and the commit's status. If several runs work at once, the run on
 * the branch's head wins, and then the later one; a run that lost writes nothing. A comment of another
 * account is never treated as ours, whatever it contains.
 */
export class ReportComment {
  readonly #pulls: PullRequests;
  readonly #marker: Marker;
  readonly #options: ReportCommentOptions;
  /** Our account; undefined until a status is set. */
  #account: string | undefined;

  constructor(pulls: PullRequests, options: ReportCommentOptions) {
    this.#pulls = pulls;
    this.#options = options;
    const now = Date.now().toString().padStart(15, "0");
    this.#marker = { commit: options.commit, run: `${now}-${randomBytes(4).toString("hex")}` };
  }

  /** Announces the preview of this commit; the previous report stays below. */
  async begin(): Promise<void> {
    const limit = this.#pulls.maxComment;
    await this.#publish({ state: "pending", description: "previewing…" }, (before) =>
      pendingBody(this.#marker, before, limit),
    );
  }

  /** Publishes the report. */
  async finish(report: Report): Promise<void> {
    const { reportUrl } = this.#options;
    const limit = this.#pulls.maxComment - RESERVED;
    const text = renderReport(report, { limit, reportUrl });
    const bad = report.verdict === "failed" || report.verdict === "blocked";
    const status = {
      state: bad ? "failure" : "success",
      description: summaryLine(report),
    } as const;
    await this.#publish(status, (_before, head) => reportBody(this.#marker, text, head));
  }

  /** Publishes why there is no report. */
  async abandon(cause: string): Promise<void> {
    const text = `## ❌ No preview\n\n${code(cutMiddle(cause, MAX_CAUSE))}\n`;
    const status = { state: "failure", description: "the preview could not start" } as const;
    await this.#publish(status, (_before, head) => reportBody(this.#marker, text, head));
  }

  /** Sets the status first, because its answer names our account. Tries both: a token may allow only one. */
  async #publish(status: Pick<CommitStatus, "state" | "description">, body: Body): Promise<void> {
    const [shown] = await Promise.allSettled([this.#status(status)]);
    await this.#write(body);
    if (shown.status === "rejected") throw shown.reason;
  }

  async #status({ state, description }: Pick<CommitStatus, "state" | "description">) {
    const { commit, reportUrl: url } = this.#options;
    const status = { state, description: cutMiddle(description, MAX_DESCRIPTION), url };
    this.#account = await withRetries(() =>
      this.#pulls.setStatus(commit, { ...status, context: CONTEXT }),
    );
  }

  /** Reads the comments before each attempt, because an attempt that failed may have had an effect. */
  async #write(body: Body): Promise<void> {
    for (let round = 0; round < MAX_TRIES; round += 1) {
      if (await withRetries(() => this.#writeOnce(body))) return;
    }
    throw new InfraError("RDEV_CONFLICT", "Other runs keep changing the comment.");
  }

  /** Returns true if the comment is up to date and no other run interfered. */
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

  /** Edits the first comment that still exists, and returns its id. */
  async #editFirst(
    ours: readonly Comment[],
    body: (before: string) => string,
  ): Promise<number | undefined> {
    for (const { id, body: before } of ours) {
      if (await this.#pulls.edit(id, body(before))) return id;
    }
    return undefined;
  }

  /** If our account is unknown, only the host protects the comments of others. */
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

/** Retries while the host is unreachable, for example behind a proxy that answers 502. All calls are repeatable. */
function withRetries<T>(work: () => Promise<T>): Promise<T> {
  return pRetry(work, {
    retries: MAX_TRIES - 1,
    minTimeout: FIRST_WAIT,
    shouldRetry: ({ error }) => error instanceof InfraError && error.code === "RDEV_UNREACHABLE",
  });
}
