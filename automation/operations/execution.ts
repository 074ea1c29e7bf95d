import pRetry from "p-retry";
import { asInfraError, type ErrorCode, InfraError, userMessage } from "../../core/errors.ts";
import {
  type ApprovedPlan,
  NO_CHANGES,
  notBegun,
  type OperationKind,
  type Outcome,
} from "../../core/operation.ts";
import { isTransient } from "../store/errors.ts";
import type { Job, JobResult } from "../worker/messages.ts";
import type { Worker, WorkerCrash } from "../worker/worker.ts";
import { Attempt, type AttemptContext, type FetchedJob, LostAttempt } from "./attempt.ts";
import { EventLog } from "./event-log.ts";
import { Lease } from "./lease.ts";
import { isHolderDead } from "./lock-owner.ts";
import { recordOperation } from "./record-operation.ts";
import { rolledBack, shouldRollBack } from "./rollback.ts";

/** In ms: time for the step under way after a shutdown, before the worker is killed. */
const HAND_BACK_GRACE = 10_000;
const RETRY_MS = 500;
/** In ms: how long a write is retried while the database is away and the lease holds. */
const MAX_RETRY_TIME = 600_000;

/** The part of a pino logger that a runner uses. */
export interface RunnerLog {
  info(fields: object, text: string): void;
  warn(fields: object, text: string): void;
  error(fields: object, text: string): void;
}

interface ExecutionOptions {
  readonly context: AttemptContext;
  readonly worker: () => Worker;
  readonly log: RunnerLog;
  readonly maxAttempts: number;
  /** In ms. */
  readonly deadline: number;
  /** In ms: time for the step under way after a cancel or the deadline, before the worker is killed. */
  readonly cancelGrace: number;
  readonly leaseSeconds: number;
  /** The version of the program that the workers run. */
  readonly programVersion: string;
}

/** Runs a job of the queue to its end, or until another runner owns it. */
export class Execution {
  /** Resolves when no process of it runs here any more. */
  readonly ended: Promise<void>;
  readonly #job: FetchedJob;
  readonly #options: ExecutionOptions;
  #worker: Worker | undefined;
  #lease: Lease | undefined;
  #isHandingBack = false;
  #isPastDeadline = false;
  #killTimer: NodeJS.Timeout | undefined;
  /** On the monotonic clock, in ms. */
  #killAt = Infinity;

  constructor(job: FetchedJob, options: ExecutionOptions) {
    this.#job = job;
    this.#options = options;
    this.ended = this.#run().catch((error: unknown) => {
      // The database is away: the queue gives the job to a runner once it misses the heartbeat.
      this.#log("warn", { error: userMessage(error) }, "operation left");
    });
  }

  get id(): string {
    return this.#job.id;
  }

  checkCancelled(): void {
    void this.#lease?.checkCancelled().catch(() => undefined); // repeated at the next renewal
  }

  /** Stops after the step under way, and returns the operation to the queue. */
  handBack(): void {
    this.#isHandingBack = true;
    this.#cancel(HAND_BACK_GRACE);
  }

  async #run(): Promise<void> {
    const attempt = await Attempt.begin(this.#options.context, this.#job);
    if (!attempt) return;
    const { log, maxAttempts, leaseSeconds, deadline, cancelGrace } = this.#options;
    const { attempts, kind } = attempt.row;
    this.#log("info", { kind, attempts, project_id: attempt.row.slug }, "operation begun");
    this.#worker = this.#options.worker();
    const events = new EventLog((each) => attempt.addEvents(each));
    const lease = new Lease(attempt, {
      seconds: leaseSeconds,
      onRenewed: (ms) => this.#worker?.renew(ms),
      onLost: () => void this.#worker?.kill(),
      onCancelling: () => this.#cancel(cancelGrace),
    });
    this.#lease = lease;
    const deadlineTimer = setTimeout(() => {
      this.#isPastDeadline = true;
      this.#cancel(cancelGrace);
    }, deadline);
    try {
      const done = await this.#perform(attempt, events);
      await this.#persist(() => events.flush()).catch(rethrowLost);
      const isRetry = done.killed && attempts < maxAttempts;
      if (isRetry || (this.#isHandingBack && done.outcome.result === "cancelled")) {
        await this.#persist(() => attempt.handBack());
        this.#log("warn", { attempts, ...errorField(done.outcome) }, "operation given back");
        return;
      }
      logEnd(log, attempt, await this.#end(attempt, done));
    } catch (error) {
      if (!(error instanceof LostAttempt)) throw error;
      this.#log("warn", { attempts }, "operation lost: another runner may have it");
    } finally {
      clearTimeout(deadlineTimer);
      clearTimeout(this.#killTimer);
      events.end();
      lease.end();
      await this.#worker.kill();
    }
  }

  /** Runs the operation and, if `shouldRollBack` says so, its rollback. Rejects with LostAttempt only. */
  async #perform(attempt: Attempt, events: EventLog): Promise<JobResult> {
    try {
      const { kind, request } = attempt.row;
      const refusal = await this.#refusal(attempt);
      if (refusal) return withoutReport(notBegun(refusal));
      const done = await this.#recorded(attempt, kind, () => this.#work(attempt, events));
      const isHandingBack = this.#isHandingBack;
      return shouldRollBack(request, done, { foundEmpty: attempt.foundEmpty, isHandingBack })
        ? await this.#rollBack(attempt, events, done)
        : done;
    } catch (error) {
      rethrowLost(error);
      const { code, message } = asInfraError(error);
      return withoutReport(failed(code, message));
    }
  }

  /**
   * Why an operation of a rollout must not begin: the project was deleted meanwhile, and an `up` would
   * create it again, or this replica has another version of the program than the approved one.
   */
  async #refusal(attempt: Attempt): Promise<InfraError | undefined> {
    const { request, slug } = attempt.row;
    const approved = request.kind === "up" ? request.approved : undefined;
    const isPlanned = request.kind === "preview" && request.rollout !== undefined;
    if (!approved && !isPlanned) return undefined;
    const { programVersion: version } = this.#options;
    if (approved && approved.version !== version) {
      return new InfraError(
        "RDEV_PLAN",
        `Version ${approved.version} of the program was approved, but this replica has ${version}.`,
      );
    }
    if (await this.#persist(() => attempt.projectSettings())) return undefined;
    return new InfraError("RDEV_NOT_FOUND", `There is no project "${slug}".`);
  }

  /**
   * Records the end and returns the outcome on record. If the database refuses an outcome for its
   * content, it would refuse it forever: an outcome that reports this is recorded in its place.
   */
  async #end(attempt: Attempt, done: JobResult): Promise<Outcome> {
    try {
      await this.#persist(() => attempt.end(done));
      return done.outcome;
    } catch (error) {
      rethrowLost(error);
      const { result, changes, durationMs } = done.outcome;
      const message = `The operation ${result}, but this could not be recorded: ${userMessage(error)}`;
      const outcome = failed("RDEV_STORE", message, { ...CANCELLED, changes, durationMs });
      await this.#persist(() => attempt.end(withoutReport(outcome)));
      return outcome;
    }
  }

  /** Records the intent and the end of anything but a preview in the audit trail. */
  async #recorded(
    attempt: Attempt,
    operation: OperationKind | "rollback",
    work: () => Promise<JobResult>,
  ): Promise<JobResult> {
    if (operation === "preview") return work();
    const { actor, id, request } = attempt.row;
    let done: JobResult | undefined;
    const recording = {
      store: this.#options.context.store,
      actor,
      stack: attempt.stack,
      operation,
      id,
      remove: true,
      details: { request },
      ...("settings" in request && { requested: request.settings }),
      programVersion: this.#options.programVersion,
    };
    const outcome = await recordOperation(recording, async () => {
      done = await work();
      // Waits until the database answers, because recording the end fails without it.
      await this.#persist(() => attempt.isCancelling()).catch(() => undefined);
      return done.outcome;
    });
    return { ...(done ?? withoutReport(outcome)), outcome, killed: done?.killed ?? false };
  }

  /** Deletes what the failed `up` created, with a worker and an audit record of its own. */
  async #rollBack(attempt: Attempt, events: EventLog, failure: JobResult): Promise<JobResult> {
    if (this.#lease?.isLost !== false) throw new LostAttempt();
    this.#log("info", { project_id: attempt.row.slug }, "rollback begun");
    this.#worker = this.#options.worker();
    this.#worker.renew(this.#lease.remaining);
    const task = { kind: "rollback" } as const;
    const done = await this.#recorded(attempt, "rollback", () => this.#work(attempt, events, task));
    if (done.outcome.result === "cancelled" && this.#isHandingBack) return done;
    return { ...done, outcome: rolledBack(failure.outcome, done.outcome) };
  }

  async #work(attempt: Attempt, events: EventLog, task?: Job["task"]): Promise<JobResult> {
    const settings = await this.#persist(() => attempt.projectSettings());
    const job = jobOf(attempt, settings);
    const exit = await this.#worker!.run(task ? { ...job, task } : job, {
      onEvent: (event) => events.add(event),
      onEngine: (pid) => void this.#persist(() => attempt.addEngine(pid)).catch(() => undefined),
      onFact: (fact) => this.#persist(() => attempt.recordFact(fact)),
      mayBreakLocks: async (holders) => {
        const past = await attempt.past().catch(() => []);
        return holders.length > 0 && holders.every((holder) => isHolderDead(holder, past));
      },
    });
    return this.#toResult(exit);
  }

  /** What the worker's exit means for the operation. */
  #toResult(exit: JobResult | WorkerCrash): JobResult {
    if (exit.type === "done") {
      if (!this.#isPastDeadline || exit.outcome.result !== "cancelled") return exit;
      const hours = (this.#options.deadline / 3_600_000).toFixed(1);
      const message = `It was stopped after ${hours} hours; the same request continues from there.`;
      return { ...exit, outcome: failed("RDEV_DEADLINE", message, exit.outcome) };
    }
    if (this.#killTimer !== undefined && !this.#isPastDeadline) return withoutReport(CANCELLED);
    const { reason, isFinal } = exit;
    const message =
      `The worker's process died (${reason}). What it created is recorded, or is found by its ownership ` +
      "mark: the same request continues from there.";
    return { ...withoutReport(failed("RDEV_ENGINE", message)), killed: !isFinal };
  }

  /** Each renewal of the lease reports a cancel again: only an earlier end replaces the timer. */
  #cancel(grace: number): void {
    this.#worker?.cancel();
    const killAt = performance.now() + grace;
    if (killAt >= this.#killAt) return;
    this.#killAt = killAt;
    clearTimeout(this.#killTimer);
    this.#killTimer = setTimeout(() => void this.#worker?.kill(), grace);
  }

  /** Retries while the database is away and the lease holds. Rejects with LostAttempt if it does not. */
  #persist<T>(work: () => Promise<T>): Promise<T> {
    return pRetry(work, {
      retries: Infinity,
      minTimeout: RETRY_MS,
      factor: 1,
      maxRetryTime: MAX_RETRY_TIME,
      shouldRetry: ({ error }) => {
        if (error instanceof LostAttempt || !isTransient(error)) return false;
        if (this.#lease?.isLost !== false) throw new LostAttempt();
        return true;
      },
    });
  }

  #log(level: "info" | "warn", fields: object, text: string): void {
    this.#options.log[level]({ component: "saga", operation_id: this.id, ...fields }, text);
  }
}

/** `projectSettings` is undefined if the project does not exist. */
function jobOf({ row, foundEmpty }: Attempt, projectSettings: Job["formerly"] | undefined): Job {
  const { platform, slug, request } = row;
  const common = { platform, slug, formerly: projectSettings ?? {} };
  switch (request.kind) {
    case "up": {
      const needsEmpty = request.onFailure === "rollback" && !foundEmpty;
      const { settings, adopt, fix } = request;
      // A later attempt continues what an approved one began: its plan is a part of the approved one.
      const approved = row.plan_matched ? undefined : planToCheck(request.approved);
      return { ...common, settings, task: { kind: "up", needsEmpty, adopt, fix, approved } };
    }
    case "preview": {
      const { settings, of, adopt } = request;
      const isNewProject = projectSettings === undefined;
      const drift = request.drift && true;
      return { ...common, settings, task: { kind: "preview", of, isNewProject, adopt, drift } };
    }
    case "refresh":
      return { ...common, settings: {}, task: { kind: "refresh" } };
    case "destroy": {
      const { retainData, retainRepository } = request;
      const settings = { retainData, retainRepository };
      return { ...common, settings, task: { kind: "destroy" } };
    }
  }
}

function planToCheck(approved: ApprovedPlan | undefined) {
  return approved && { fingerprint: approved.fingerprint, dataLoss: approved.dataLoss };
}

const CANCELLED: Outcome = {
  result: "cancelled",
  changes: NO_CHANGES,
  outputs: {},
  durationMs: 0,
  errors: [],
};

function failed(code: ErrorCode, message: string, outcome: Outcome = CANCELLED): Outcome {
  return { ...outcome, result: "failed", errors: [...outcome.errors, { code, message }] };
}

/** For a worker that did not report: nothing is known to be left, and nothing may be rolled back. */
function withoutReport(outcome: Outcome): JobResult {
  return { type: "done", outcome, remaining: [], gone: false, mayRollBack: false, killed: false };
}

function rethrowLost(error: unknown): void {
  if (error instanceof LostAttempt) throw error;
}

function errorField({ errors }: Outcome): object {
  return errors.length > 0 ? { error: errors.map(({ message }) => message).join("\n") } : {};
}

/** Uses the fields of the platform's log queries: `component:saga result:failure`. */
function logEnd(log: RunnerLog, { row }: Attempt, outcome: Outcome): void {
  const { result, durationMs } = outcome;
  const fields = {
    component: "saga",
    project_id: row.slug,
    operation_id: row.id,
    kind: row.kind,
    duration_ms: Math.round(durationMs),
    attempts: row.attempts,
  };
  if (result === "failed") {
    log.error({ ...fields, result: "failure", ...errorField(outcome) }, "operation failed");
  } else {
    const word = result === "succeeded" ? "success" : "cancelled";
    log.info({ ...fields, result: word }, `operation ${result}`);
  }
}
