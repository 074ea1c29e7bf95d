import { InfraError, isTemporary, userMessage } from "../../core/errors.ts";
import { MAY_NOT_WRITE, short, unfit } from "../../core/previews/approval.ts";
import type { Approved, Asked, Merged, PreviewRequest } from "../../core/previews/forge-event.ts";
import { code } from "../../core/previews/markdown.ts";
import type { ApprovalHost, PullRequests } from "../../providers/pull-requests.ts";
import { type AuditLog, audited } from "../audit/log.ts";
import type { RunnerLog } from "../operations/execution.ts";
import { repeat } from "../retry.ts";
import type { Store } from "../store/store.ts";
import { requireApproval } from "./approval.ts";
import { CONTEXT, ReportComment } from "./comment.ts";
import {
  claimRequest,
  type ClaimedRequest,
  endRequest,
  headBefore,
  postponeRequest,
} from "./requests.ts";
import { showReport } from "./show-report.ts";

/** In ms: how often new requests are looked for. */
const POLL = 2_000;
/** In ms: a request belongs to the process that works on it, which renews this. */
const LEASE = 120_000;
/** In ms. An older comment asks for nothing, so a replayed one has no effect. */
const MAX_AGE = 60 * 60_000;
/** In ms: until a request is tried again. */
const RETRY = 10_000;
/** Then it is given up. */
const MAX_ATTEMPTS = 5;

type Host = PullRequests & ApprovalHost;

interface Try {
  /** The id of the request. */
  readonly id: string;
  /** No further attempt follows. */
  readonly isLast: boolean;
  readonly signal: AbortSignal;
}

interface PreviewCommit {
  readonly number: number;
  readonly commit: string;
  readonly base: string;
}

export interface MergedPull extends PreviewCommit {
  /** The id of the request. All attempts of a request have the same one. */
  readonly id: string;
  /** The account that asks. */
  readonly by: string;
}

export interface PreviewerOptions {
  readonly store: Store;
  readonly audit: AuditLog;
  readonly host: (number: number) => Host;
  /** Previews the commit, and calls `use` with the file of its report. */
  readonly preview: (
    pull: PreviewCommit,
    use: (report: string) => Promise<unknown>,
    signal: AbortSignal,
  ) => Promise<unknown>;
  /** Asks for the rollout of a merged commit, and returns what happens next. */
  readonly rollout: (merged: MergedPull) => Promise<string>;
  /** Whether a merge asks for a rollout. */
  readonly rolloutOnMerge: boolean;
  readonly log: RunnerLog;
  /** In ms. Default: 2 s. */
  readonly poll?: number;
  /** In ms. Default: 10 s. */
  readonly retry?: number;
  /** In ms: how long another run may take with the comment. */
  readonly settle?: number;
}

/** Works on the requests of the forge's webhook, one at a time in each replica. */
export class Previewer {
  readonly #options: PreviewerOptions;

  constructor(options: PreviewerOptions) {
    this.#options = options;
  }

  /** Works until the signal aborts. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const { poll = POLL } = this.#options;
    await repeat(signal, async () => ((await this.#next(signal)) ? 0 : poll));
  }

  /** Returns false if there was nothing to do. */
  async #next(signal: AbortSignal): Promise<boolean> {
    const { store, log } = this.#options;
    try {
      const claimed = await claimRequest(store, LEASE);
      if (!claimed) return false;
      const renewal = setInterval(() => {
        postponeRequest(store, claimed.id, LEASE).catch(() => undefined); // repeated
      }, LEASE / 4);
      try {
        await this.#work(claimed, signal);
      } finally {
        clearInterval(renewal);
      }
      return true;
    } catch (error) {
      log.warn({ component: "previews" }, userMessage(error));
      return false;
    }
  }

  async #work({ id, request, attempts }: ClaimedRequest, signal: AbortSignal): Promise<void> {
    const { store, log, retry = RETRY } = this.#options;
    const pull_request = request.number;
    if (attempts > MAX_ATTEMPTS) {
      // Perhaps the preview killed the service, for example because the memory was full.
      log.warn({ component: "previews", pull_request, attempts }, GIVEN_UP);
      await endRequest(store, id);
      await this.#options.host(pull_request).post(`No ${wantedBy(request)}: ${GIVEN_UP}`);
      return;
    }
    try {
      const isDone = await this.#do(request, { id, isLast: attempts === MAX_ATTEMPTS, signal });
      if (!isDone) return await postponeRequest(store, id, retry);
    } catch (error) {
      log.warn({ component: "previews", pull_request, attempts }, userMessage(error));
      const mayRetry = isTemporary(error) && attempts < MAX_ATTEMPTS;
      if (mayRetry) return await postponeRequest(store, id, retry);
    }
    await endRequest(store, id);
  }

  /** Returns false if the request should be tried again. */
  async #do(request: PreviewRequest, attempt: Try): Promise<boolean> {
    if (request.kind === "approved") return this.#approved(request, attempt.signal);
    if (request.kind === "asked") return this.#asked(request, attempt);
    if (this.#options.rolloutOnMerge) await this.#rollOut(request, attempt.id);
    return true;
  }

  /** A merge into another branch must not take the place of a request that waits. */
  async #rollOut({ kind, number, by }: Asked | Merged, id: string): Promise<void> {
    const host = this.#options.host(number);
    const { merged: commit, base, defaultBranch = base } = await host.pull();
    if (commit === undefined) {
      await host.post("No rollout: the pull request is not merged. Ask again after the merge.");
      return;
    }
    if (base !== defaultBranch) {
      const text = `No rollout: it was merged into ${code(base)}, not into ${code(defaultBranch)}.`;
      if (kind === "asked") await host.post(text);
      return;
    }
    const answer = this.#options.rollout({ id, number, commit, base, by });
    await host.post(
      await answer.catch((error: unknown) => {
        if (isTemporary(error)) throw error;
        return `No rollout of ${short(commit)}: ${userMessage(error)}`;
      }),
    );
  }

  async #approved({ number, commit: wanted }: Approved, signal: AbortSignal): Promise<true> {
    const host = this.#options.host(number);
    const { commit, base, by } = await requireApproval(host, { commit: wanted });
    await this.#preview(host, { number, commit, base }, by, signal);
    return true;
  }

  /** Returns false if the request should be tried again, because events may arrive late. */
  async #asked(asked: Asked, { id, isLast, signal }: Try): Promise<boolean> {
    const { number, by, command } = asked;
    const host = this.#options.host(number);
    const age = Date.now() - Date.parse(asked.at);
    if (age > MAX_AGE) throw refused(asked, "asked more than an hour ago");
    if (!asked.isPerson) throw refused(asked, "is not a person");
    if (!(await host.mayWrite(by))) throw refused(asked, MAY_NOT_WRITE);
    if (command === "rollout") {
      await this.#rollOut(asked, id);
      return true;
    }
    const pull = await host.pull();
    if (by.toLowerCase() === pull.author?.toLowerCase()) {
      await host.post(
        `No preview: ${by} is its author. Another person with write access must ask.`,
      );
      return true;
    }
    const commit = asked.commit ?? (await headBefore(this.#options.store, number, asked.at));
    if (commit === undefined) {
      if (!isLast) return false;
      await host.post(
        "No preview: the service does not know the commit that the branch was at when you asked. Name the " +
          "one that you have read: `/preview <commit>`",
      );
      return true;
    }
    const problem = unfit(pull, commit);
    if (problem !== undefined) {
      await host.post(`No preview of ${short(commit)}: ${problem}.`);
      return true;
    }
    const self = await host.setStatus(commit, {
      state: "pending",
      context: CONTEXT,
      description: `${by} asked for a preview`,
    });
    if (by.toLowerCase() === self?.toLowerCase()) throw refused(asked, "is the service's account");
    await this.#preview(host, { number, commit, base: pull.base }, by, signal);
    return true;
  }

  async #preview(host: Host, pull: PreviewCommit, by: string, signal: AbortSignal): Promise<void> {
    const { audit, preview, settle } = this.#options;
    const { commit, number } = pull;
    const comment = new ReportComment(host, { commit, ...(settle !== undefined && { settle }) });
    const action = {
      action: "preview.run",
      actor: by,
      component: "previews",
      details: { pull_request: number, commit },
    };
    await audited(audit, action, async () => {
      await comment.begin();
      try {
        await preview(pull, (file) => showReport(host, { file, commit }), signal);
      } catch (error) {
        if (!signal.aborted) await comment.abandon(userMessage(error));
        throw error;
      }
    });
  }
}

/** What a person who asks waits for. */
function wantedBy(request: PreviewRequest): Asked["command"] {
  if (request.kind === "asked") return request.command;
  return request.kind === "merged" ? "rollout" : "preview";
}

function refused({ by, command }: Asked, why: string): InfraError {
  return new InfraError("RDEV_APPROVAL", `/${command} was ignored: ${by} ${why}.`);
}

const GIVEN_UP = "the service ended in the middle of each attempt.";
