import { setTimeout as sleep } from "node:timers/promises";
import { asInfraError, type ErrorCode, userMessage } from "../../core/errors.ts";
import { NO_CHANGES, type OperationKind, type Outcome } from "../../core/operation.ts";
import { isTransient } from "../store/errors.ts";
import type { Job } from "../worker/job.ts";
import type { JobResult } from "../worker/messages.ts";
import type { Worker, WorkerCrash } from "../worker/worker.ts";
import { Attempt, LostAttempt, type Office, type Ticket } from "./attempt.ts";
import { EventLog } from "./event-log.ts";
import { Lease } from "./lease.ts";
import { isHolderDead } from "./lock-owner.ts";
import { recorded } from "./recorded.ts";
import type { RunnerLog } from "./runner-log.ts";

/** In ms: how long what is under way may take after a cancel, before it is killed. */
const CANCEL_GRACE = 120_000;
const HAND_BACK_GRACE = 10_000;
const RETRY_MS = 500;
/** In ms: how long the database may refuse what it may take later, while the lease holds. */
const PATIENCE = 600_000;

export interface ExecutionOptions {
  readonly office: Office;
  readonly worker: () => Worker;
  readonly log: RunnerLog;
  readonly maxAttempts: number;
  readonly deadline: number;
  readonly leaseSeconds: number;
}

/** A job of the queue, from its beginning here to its end, or until another runner has it. */
export class Execution {
  /** Resolves when nothing of it runs here any more. */
  readonly ended: Promise<void>;
  readonly #ticket: Ticket;
  readonly #options: ExecutionOptions;
  #worker: Worker | undefined;
  #lease: Lease | undefined;
  #isHandingBack = false;
  #isLate = false;
  #grace: NodeJS.Timeout | undefined;

  constructor(ticket: Ticket, options: ExecutionOptions) {
    this.#ticket = ticket;
    this.#options = options;
    this.ended = this.#run().catch((error: unknown) => {
      // The database is gone: the queue gives the job to whoever is there when it is back.
      this.#tell("warn", { error: userMessage(error) }, "operation left");
    });
  }

  get id(): string {
    return this.#ticket.id;
  }

  /** It may have been asked to stop. */
  look(): void {
    void this.#lease?.look().catch(() => undefined); // asked again at the next heartbeat
  }

  /** Stops it where it can go on from, and gives it back to the queue. */
  handBack(): void {
    this.#isHandingBack = true;
    this.#cancel(HAND_BACK_GRACE);
  }

  async #run(): Promise<void> {
    const attempt = await Attempt.begin(this.#options.office, this.#ticket);
    if (!attempt) return;
    const { log, maxAttempts, leaseSeconds, deadline } = this.#options;
    const { attempts, kind } = attempt.row;
    this.#tell("info", { kind, attempts, project_id: attempt.row.slug }, "operation begun");
    this.#worker = this.#options.worker();
    const events = new EventLog((each) => attempt.addEvents(each));
    const lease = new Lease(attempt, {
      seconds: leaseSeconds,
      onRenewed: (ms) => this.#worker?.renew(ms),
      onLost: () => void this.#worker?.kill(),
      onCancelling: () => this.#cancel(CANCEL_GRACE),
    });
    this.#lease = lease;
    const late = setTimeout(() => {
      this.#isLate = true;
      this.#cancel(CANCEL_GRACE);
    }, deadline);
    try {
      const ending = await this.#ending(attempt, events);
      await this.#persist(() => events.flush()).catch(unlessLost);
      const again = ending.killed && attempts < maxAttempts;
      if (again || (this.#isHandingBack && ending.outcome.result === "cancelled")) {
        await this.#persist(() => attempt.handBack());
        this.#tell("warn", { attempts, ...whyOf(ending.outcome) }, "operation given back");
        return;
      }
      logEnd(log, attempt, await this.#end(attempt, ending));
    } catch (error) {
      if (!(error instanceof LostAttempt)) throw error;
      this.#tell("warn", { attempts }, "operation lost to another runner");
    } finally {
      clearTimeout(late);
      clearTimeout(this.#grace);
      events.end();
      lease.end();
      await this.#worker.kill();
    }
  }

  /** Does it, and where that is asked for and safe, undoes it. Rejects with LostAttempt only. */
  async #ending(attempt: Attempt, events: EventLog): Promise<JobResult> {
    try {
      const { kind } = attempt.row;
      const done = await this.#recorded(attempt, kind, () => this.#work(attempt, events));
      return this.#isToUndo(attempt, done) ? await this.#undone(attempt, events, done) : done;
    } catch (error) {
      unlessLost(error);
      const { code, message } = asInfraError(error);
      return dead(failed(code, message));
    }
  }

  /**
   * Records how it ended, and answers with what is on record: an outcome that the database refuses for
   * its content would be refused for ever, so one that says that takes its place.
   */
  async #end(attempt: Attempt, ending: JobResult): Promise<Outcome> {
    try {
      await this.#persist(() => attempt.end(ending));
      return ending.outcome;
    } catch (error) {
      unlessLost(error);
      const { result, changes, durationMs } = ending.outcome;
      const message = `It ended as ${result}, but that could not be recorded: ${userMessage(error)}`;
      const outcome = failed("RDEV_STORE", message, { ...STOPPED, changes, durationMs });
      await this.#persist(() => attempt.end(dead(outcome)));
      return outcome;
    }
  }

  /** With its intent and its end in the audit trail, where it changes something. */
  async #recorded(
    attempt: Attempt,
    operation: OperationKind | "rollback",
    work: () => Promise<JobResult>,
  ): Promise<JobResult> {
    if (operation === "preview") return work();
    const { actor, id, request } = attempt.row;
    let done: JobResult | undefined;
    const recording = {
      ...{ store: this.#options.office.store, actor, stack: attempt.stack, operation, id },
      ...{ remove: true, details: { request } },
      ...("settings" in request && { asked: request.settings }),
    } as const;
    const outcome = await recorded(recording, async () => {
      done = await work();
      // The end is to be recorded: a database that is gone for a moment is no reason to fail.
      await this.#persist(() => attempt.isCancelling()).catch(() => undefined);
      return done.outcome;
    });
    return { ...(done ?? dead(outcome)), outcome, killed: done?.killed ?? false };
  }

  #isToUndo({ row, foundEmpty }: Attempt, { outcome, killed, mayUndo }: JobResult): boolean {
    const { request } = row;
    const isAsked = request.kind === "up" && request.onFailure === "rollback";
    // One that is handed back fails again elsewhere, and is undone there.
    const isFailure = outcome.result === "failed" && !killed && !this.#isHandingBack;
    return isAsked && isFailure && foundEmpty && mayUndo;
  }

  /** Deletes again what the failed `up` made, with a worker and a record of its own. */
  async #undone(attempt: Attempt, events: EventLog, failure: JobResult): Promise<JobResult> {
    if (this.#lease?.isLost !== false) throw new LostAttempt();
    this.#tell("info", { project_id: attempt.row.slug }, "rollback begun");
    this.#worker = this.#options.worker();
    this.#worker.renew(this.#lease.remaining);
    const task = { kind: "rollback" } as const;
    const undone = await this.#recorded(attempt, "rollback", () =>
      this.#work(attempt, events, task),
    );
    const { outcome } = undone;
    if (outcome.result === "cancelled" && this.#isHandingBack) return undone;
    const { changes, durationMs, errors } = failure.outcome;
    return {
      ...undone,
      outcome: {
        ...{ result: "failed", outputs: {}, durationMs: durationMs + outcome.durationMs },
        changes: { ...changes, delete: changes.delete + outcome.changes.delete },
        errors: [...errors, ...outcome.errors],
      },
    };
  }

  async #work(attempt: Attempt, events: EventLog, task?: Job["task"]): Promise<JobResult> {
    const job = { ...(await this.#job(attempt)), ...(task && { task }) };
    const ending = await this.#worker!.run(job, {
      onEvent: (event) => events.add(event),
      onEngine: (pid) => void this.#persist(() => attempt.addEngine(pid)).catch(() => undefined),
      onFoundEmpty: () => this.#persist(() => attempt.noteEmpty()),
      mayBreakLocks: async (holders) => {
        const past = await attempt.past().catch(() => []);
        return holders.length > 0 && holders.every((holder) => isHolderDead(holder, past));
      },
    });
    return this.#judged(ending);
  }

  async #job(attempt: Attempt): Promise<Job> {
    const { platform, slug, request } = attempt.row;
    const formerly = await this.#persist(() => attempt.settings());
    const about = { platform, slug, formerly };
    if (request.kind === "up") {
      const needsEmpty = request.onFailure === "rollback" && !attempt.foundEmpty;
      return { ...about, settings: request.settings, task: { kind: "up", needsEmpty } };
    }
    const isKnown = await this.#persist(() => attempt.hasProject());
    return { ...about, ...jobOf(request, isKnown) };
  }

  /** What its end means for the operation. */
  #judged(ending: JobResult | WorkerCrash): JobResult {
    if (ending.type === "done") {
      if (!this.#isLate || ending.outcome.result !== "cancelled") return ending;
      const hours = this.#options.deadline / 3_600_000;
      const message = `It was stopped after ${hours.toFixed(1)} hours; the same again goes on from there.`;
      return { ...ending, outcome: failed("RDEV_DEADLINE", message, ending.outcome) };
    }
    if (this.#grace !== undefined && !this.#isLate) return dead(STOPPED);
    const { reason, isFinal } = ending;
    const message =
      `The process that did it died (${reason}). What was made is known, or is found by its mark: ` +
      "the same again goes on from there.";
    return { ...dead(failed("RDEV_ENGINE", message)), killed: !isFinal };
  }

  #cancel(grace: number): void {
    this.#worker?.cancel();
    clearTimeout(this.#grace);
    this.#grace = setTimeout(() => void this.#worker?.kill(), grace);
  }

  /**
   * Tries until it is done, or until the operation is not this one's any more. Rejects with what the
   * database will not take later either.
   */
  async #persist<T>(work: () => Promise<T>): Promise<T> {
    const end = performance.now() + PATIENCE;
    for (;;) {
      try {
        return await work();
      } catch (error) {
        if (error instanceof LostAttempt) throw error;
        if (!isTransient(error) || performance.now() > end) throw error;
        if (this.#lease?.isLost !== false) throw new LostAttempt();
      }
      await sleep(RETRY_MS);
    }
  }

  #tell(level: "info" | "warn", fields: object, text: string): void {
    this.#options.log[level]({ component: "saga", operation_id: this.id, ...fields }, text);
  }
}

function jobOf(
  request: Exclude<Attempt["row"]["request"], { kind: "up" }>,
  isKnown: boolean,
): Pick<Job, "task" | "settings"> {
  if (request.kind === "preview") {
    const { settings, of } = request;
    return { settings, task: { kind: "preview", of, ofNothing: !isKnown } };
  }
  if (request.kind === "refresh") return { settings: {}, task: { kind: "refresh" } };
  const { retainData, retainRepository } = request;
  const settings = {
    ...(retainData !== undefined && { retainData }),
    ...(retainRepository !== undefined && { retainRepository }),
  };
  return { settings, task: { kind: "destroy" } };
}

const STOPPED: Outcome = {
  ...{ result: "cancelled", changes: NO_CHANGES, outputs: {}, durationMs: 0, errors: [] },
};

function failed(code: ErrorCode, message: string, outcome: Outcome = STOPPED): Outcome {
  return { ...outcome, result: "failed", errors: [...outcome.errors, { code, message }] };
}

function dead(outcome: Outcome): JobResult {
  return { type: "done", outcome, remaining: [], gone: false, mayUndo: false, killed: false };
}

function unlessLost(error: unknown): void {
  if (error instanceof LostAttempt) throw error;
}

function whyOf({ errors }: Outcome): object {
  return errors.length > 0 ? { error: errors.map(({ message }) => message).join("\n") } : {};
}

/** In the fields that the platform's queries use: `component:saga result:failure`. */
function logEnd(log: RunnerLog, { row }: Attempt, outcome: Outcome): void {
  const { result, durationMs } = outcome;
  const fields = {
    ...{ component: "saga", project_id: row.slug, operation_id: row.id, kind: row.kind },
    ...{ duration_ms: Math.round(durationMs), attempts: row.attempts },
  };
  if (result === "failed") {
    log.error({ ...fields, result: "failure", ...whyOf(outcome) }, "operation failed");
  } else {
    const word = result === "succeeded" ? "success" : "cancelled";
    log.info({ ...fields, result: word }, `operation ${result}`);
  }
}
