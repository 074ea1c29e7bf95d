import { fromKysely, type PgBoss } from "pg-boss";
import { z } from "zod";
import { InfraError } from "../../core/errors.ts";
import { notBegun, type NumberedEvent, type Outcome } from "../../core/operation.ts";
import type { ProjectChanges } from "../../core/settings.ts";
import { projectStackName } from "../../core/stack-name.ts";
import { recordFixed, recordLook } from "../drift/table.ts";
import { isStillExpired } from "../lifetime/table.ts";
import { announce } from "../notifications/outbox.ts";
import { Projects, removeProject } from "../store/projects.ts";
import { QUEUE } from "../store/queue.ts";
import { jsonText, type OperationRow } from "../store/schema.ts";
import type { Store, StoreTransaction } from "../store/store.ts";
import type { Fact, JobResult } from "../worker/messages.ts";
import type { RunnerIdentity } from "./runner-identity.ts";
import {
  addEngine,
  addEvents,
  changeState,
  insertAttempt,
  isOpen,
  lockedRow,
  type PastAttempt,
  pastAttempts,
  setFact,
} from "./tables.ts";

/** Errors of an operation that receivers are told. The operation has all of them. */
const MAX_ANNOUNCED = 20;

/** A job of the queue as it was fetched. Another attempt at it has another `retryCount`. */
export interface FetchedJob {
  readonly id: string;
  readonly retryCount: number;
}

export interface AttemptContext {
  readonly store: Store;
  readonly boss: PgBoss;
  readonly runner: RunnerIdentity;
}

/** This runner was presumed dead, and the operation was given to another runner or ended. */
export class LostAttempt extends Error {}

/**
 * One attempt at an operation. It writes only while it owns the operation, and throws LostAttempt
 * otherwise, so a runner that was presumed dead cannot disturb the next one.
 */
export class Attempt {
  readonly row: OperationRow;
  readonly #context: AttemptContext;
  readonly #job: FetchedJob;
  #foundEmpty: boolean;

  private constructor(context: AttemptContext, job: FetchedJob, row: OperationRow) {
    this.#context = context;
    this.#job = job;
    this.row = row;
    this.#foundEmpty = row.found_empty;
  }

  /** Undefined if there is nothing to do: the operation has ended, or was cancelled when its runner died. */
  static begin(context: AttemptContext, job: FetchedJob): Promise<Attempt | undefined> {
    const { store, boss, runner } = context;
    return store.transaction(async (transaction) => {
      const found = await lockedRow(transaction, job.id);
      const isOpenYet = found?.state === "queued" || found?.state === "running";
      if (isOpenYet && !(await isStillWanted(transaction, found))) {
        await changeState(transaction, found.id, {
          state: "cancelled",
          ended_at: new Date(),
          outcome: jsonText(PROLONGED),
        });
      } else if (isOpenYet) {
        const attempts = found.attempts + 1;
        const startedAt = found.started_at ?? new Date();
        const row = await changeState(transaction, found.id, {
          state: "running",
          attempts,
          started_at: startedAt,
        });
        await insertAttempt(transaction, found.id, attempts, runner);
        return new Attempt(context, job, row);
      }
      if (found?.state === "cancelling") {
        await changeState(transaction, found.id, { state: "cancelled", ended_at: new Date() });
      }
      await boss.complete(QUEUE, job, null, { db: fromKysely(transaction) });
      return undefined;
    });
  }

  get stack(): string {
    return projectStackName(this.row.platform, this.row.slug);
  }

  /**
   * The project's settings as its row has them, for a stack that does not record them yet. Undefined
   * if the project does not exist.
   */
  async projectSettings(): Promise<ProjectChanges | undefined> {
    return (await new Projects(this.#context.store).find(this.row.slug))?.settings;
  }

  /** Sends the job's heartbeat to the queue, which renews the lease. Throws LostAttempt. */
  async touch(): Promise<void> {
    const answer = await this.#context.boss.touch(QUEUE, this.#job);
    if (z.looseObject({ affected: z.int() }).parse(answer).affected === 0) throw new LostAttempt();
  }

  async isCancelling(): Promise<boolean> {
    const row = await this.#context.store.run((db) =>
      db.selectFrom("operations").select("state").where("id", "=", this.row.id).executeTakeFirst(),
    );
    return row?.state === "cancelling";
  }

  async addEvents(events: readonly Omit<NumberedEvent, "number">[]): Promise<void> {
    await this.#whileOwned((transaction) => addEvents(transaction, this.row.id, events));
  }

  /** Nothing of the project existed before this operation, so it created everything that exists now. */
  get foundEmpty(): boolean {
    return this.#foundEmpty;
  }

  async recordFact(fact: Fact): Promise<void> {
    await this.#whileOwned((transaction) => setFact(transaction, this.row.id, fact));
    this.#foundEmpty ||= fact === "empty";
  }

  /** A lock that stays behind is recognized as ours by the engine's process id. */
  async addEngine(pid: number): Promise<void> {
    await this.#context.store.run((db) => addEngine(db, this.row, pid));
  }

  past(): Promise<PastAttempt[]> {
    return this.#context.store.run((db) => pastAttempts(db, this.row));
  }

  async end({
    outcome,
    remaining,
    gone,
    drift,
  }: Omit<JobResult, "type" | "killed">): Promise<void> {
    const { id, slug } = this.row;
    await this.#whileOwned(async (transaction) => {
      if (gone) await removeProject(transaction, slug);
      await changeState(transaction, id, {
        state: outcome.result,
        ended_at: new Date(),
        outcome: jsonText(outcome),
        remaining: jsonText(remaining),
      });
      await recordLook(transaction, this.row, outcome, drift);
      await recordFixed(transaction, this.row, outcome);
      if (outcome.result === "failed") await announceFailure(transaction, this.row, outcome);
      const { boss } = this.#context;
      await boss.complete(QUEUE, this.#job, null, { db: fromKysely(transaction) });
    });
  }

  /** Returns the operation to the queue, where it is the next of its stack. */
  async handBack(): Promise<void> {
    await this.#whileOwned((transaction) => requeue(transaction, this.#context.boss, this.row.id));
  }

  /** Runs `work` in a transaction during which no other runner can take the operation. */
  async #whileOwned(work: (transaction: StoreTransaction) => Promise<void>): Promise<void> {
    await this.#context.store.transaction(async (transaction) => {
      const row = await lockedRow(transaction, this.row.id);
      if (row?.attempts !== this.row.attempts || !isOpen(row.state) || row.state === "queued") {
        throw new LostAttempt();
      }
      await work(transaction);
    });
  }
}

const PROLONGED: Outcome = {
  ...notBegun(
    new InfraError(
      "RDEV_CONFLICT",
      "The project's time to live was prolonged, so it is not deleted.",
    ),
  ),
  result: "cancelled",
};

/** False for the deletion of an expired project whose time to live was prolonged meanwhile. */
async function isStillWanted(
  transaction: StoreTransaction,
  { slug, request, attempts }: OperationRow,
): Promise<boolean> {
  if (request.kind !== "destroy" || request.expired === undefined) return true;
  // What a first attempt began to delete is deleted to the end.
  return attempts > 0 || isStillExpired(transaction, slug, Date.parse(request.expired));
}

/** Tells receivers of a failed operation. The caller of a preview, which changes nothing, looks at it. */
async function announceFailure(
  transaction: StoreTransaction,
  { id, slug, actor, kind }: OperationRow,
  { errors }: Outcome,
): Promise<void> {
  if (kind === "preview") return;
  await announce(transaction, {
    kind: "operation.failed",
    slug,
    operation: id,
    what: kind,
    actor,
    errors: errors.slice(0, MAX_ANNOUNCED).map(({ code, message }) => ({ code, message })),
  });
}

/** A running operation waits again. A cancelled one ends when the next runner begins it. */
export async function requeue(
  transaction: StoreTransaction,
  boss: PgBoss,
  id: string,
): Promise<void> {
  const row = await lockedRow(transaction, id);
  if (row?.state === "running") await changeState(transaction, id, { state: "queued" });
  await boss.fail(QUEUE, id, null, { db: fromKysely(transaction) });
}
