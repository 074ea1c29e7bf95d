import type { PgBoss } from "pg-boss";
import pLimit, { type LimitFunction } from "p-limit";
import { InfraError } from "../../core/errors.ts";
import type { NumberedEvent, Operation, OperationState } from "../../core/operation.ts";
import { projectStackName } from "../../core/stack-name.ts";
import { type AuditLog, auditLog } from "../audit/log.ts";
import { followEvents } from "../store/follow-events.ts";
import { Notifier } from "../store/notifier.ts";
import { openQueue } from "../store/queue.ts";
import type { OperationRow } from "../store/schema.ts";
import type { Store, StoreTransaction } from "../store/store.ts";
import { OPERATION_CHANGES } from "./notifier.ts";
import {
  addSubmission,
  cancelQueued,
  checkProject,
  findReplayed,
  refuseIfBusy,
  sendJob,
  type Submission,
  supersedeLooks,
} from "./submission.ts";
import { changeState, isNoLook, isOpen, lockedRow, operationOf } from "./tables.ts";

export interface ListOptions {
  /** Only operations of these projects. */
  readonly slugs?: readonly string[];
  readonly platform?: string;
  readonly state?: OperationState;
  /** 1 to 1000. */
  readonly limit: number;
  /** Only operations older than the one with this id. */
  readonly before?: string;
}

interface OperationsOptions {
  /** Default: the store's. */
  readonly audit?: AuditLog;
  /** How many operations of one project may run and wait. Default: 20. */
  readonly maxOpen?: number;
}

/** Submits, lists, follows and cancels operations. Any number of processes may share a database. */
export class Operations {
  readonly #store: Store;
  readonly #boss: PgBoss;
  readonly #notifier;
  readonly #submissions = new Map<string, LimitFunction>();
  readonly #audit: AuditLog;
  readonly #maxOpen: number;

  constructor(store: Store, { audit = auditLog(store), maxOpen = 20 }: OperationsOptions = {}) {
    this.#store = store;
    this.#audit = audit;
    this.#maxOpen = maxOpen;
    this.#notifier = new Notifier(store, OPERATION_CHANGES);
    this.#boss = openQueue(store);
  }

  /**
   * Queues an operation, and adds the project of an `up` if it does not exist. The operation carries
   * only the settings that the request names; the project's other settings are read when it begins.
   * An operation that changes something and its audit event are written in one transaction.
   *
   * Rejects with RDEV_BUSY, which names the operation in the way; with RDEV_IDEMPOTENCY; with
   * RDEV_NOT_FOUND for a refresh, a destroy or a rollout's operation of a project that does not exist;
   * and with RDEV_CONFLICT for a project of another platform.
   */
  async submit(submission: Submission): Promise<{ operation: Operation; replayed: boolean }> {
    const stack = projectStackName(submission.platform, submission.slug);
    await this.#boss.start();
    return this.#oneAtATime(stack, () =>
      this.#store.exclusively(`operations of ${stack}`, async (transaction) => {
        const replayed = await findReplayed(transaction, submission);
        if (replayed) return { operation: operationOf(replayed), replayed: true };
        await supersedeLooks(transaction, this.#boss, submission);
        await refuseIfBusy(transaction, submission, this.#maxOpen);
        await checkProject(transaction, submission);
        const row = await addSubmission(transaction, submission);
        await sendJob(transaction, this.#boss, row);
        await submission.alongside?.(transaction, row.id);
        if (row.kind !== "preview") {
          await this.#record(transaction, "operation.submit", row, row.actor, { ...row.request });
        }
        return { operation: operationOf(row), replayed: false };
      }),
    );
  }

  async find(id: string): Promise<Operation | undefined> {
    const row = await this.#store.run((db) =>
      db.selectFrom("operations").selectAll().where("id", "=", id).executeTakeFirst(),
    );
    return row && operationOf(row);
  }

  /** Newest first, without the looks at projects that are part of a look at all projects. */
  async list({ slugs, platform, state, limit, before }: ListOptions): Promise<Operation[]> {
    const rows = await this.#store.run((db) => {
      let query = db
        .selectFrom("operations")
        .selectAll()
        .where(isNoLook)
        .orderBy("id", "desc")
        .limit(limit);
      if (slugs) query = query.where("slug", "in", slugs);
      if (platform !== undefined) query = query.where("platform", "=", platform);
      if (state !== undefined) query = query.where("state", "=", state);
      if (before !== undefined) query = query.where("id", "<", before);
      return query.execute();
    });
    return rows.map(operationOf);
  }

  /** The events after number `after`; 0 returns them from the first. */
  async events(id: string, after: number, limit: number): Promise<NumberedEvent[]> {
    return this.#store.run((db) =>
      db
        .selectFrom("operation_events")
        .select(["number", "at", "event"])
        .where("operation_id", "=", id)
        .where("number", ">", after)
        .orderBy("number")
        .limit(limit)
        .execute(),
    );
  }

  /**
   * Yields events as they are written, up to the operation's last one. Ends early if the signal is
   * aborted. Rejects with RDEV_NOT_FOUND.
   */
  follow(id: string, after: number, signal: AbortSignal): AsyncGenerator<NumberedEvent> {
    return followEvents({
      after,
      signal,
      notifier: this.#notifier,
      id,
      hasEnded: async () => {
        const operation = await this.find(id);
        if (!operation) throw notFound(id);
        return !isOpen(operation.state);
      },
      events: (last, limit) => this.events(id, last, limit),
    });
  }

  /**
   * Ends an operation that waits, and asks the worker of a running one to stop. An operation that has
   * ended stays as it is. Rejects with RDEV_NOT_FOUND.
   */
  async cancel(id: string, actor: string): Promise<Operation> {
    await this.#boss.start();
    return this.#store.transaction(async (transaction) => {
      let row = await lockedRow(transaction, id);
      if (!row) throw notFound(id);
      if (row.state === "queued") {
        row = await cancelQueued(transaction, this.#boss, id, actor);
      } else if (row.state === "running") {
        row = await changeState(transaction, id, { state: "cancelling", cancelled_by: actor });
      }
      await this.#record(transaction, "operation.cancel", row, actor, { state: row.state });
      return operationOf(row);
    });
  }

  async close(): Promise<void> {
    await this.#notifier.close();
    await this.#boss.stop({ graceful: false });
  }

  /** A stack's submissions use one database connection, so many at once do not exhaust the pool. */
  #oneAtATime<T>(stack: string, work: () => Promise<T>): Promise<T> {
    const limit = this.#submissions.get(stack) ?? pLimit(1);
    this.#submissions.set(stack, limit);
    return limit(work).finally(() => {
      if (limit.activeCount + limit.pendingCount === 0) this.#submissions.delete(stack);
    });
  }

  /** Must be the transaction's last write, because it holds the audit log's lock until the end. */
  #record(
    transaction: StoreTransaction,
    action: "operation.submit" | "operation.cancel",
    { id: operation, slug: projectId }: OperationRow,
    actor: string,
    details: Record<string, unknown>,
  ): Promise<void> {
    return this.#audit.recordIn(transaction, {
      action,
      projectId,
      actor,
      component: "http",
      result: "success",
      operation,
      details,
    });
  }
}

function notFound(id: string): InfraError {
  return new InfraError("RDEV_NOT_FOUND", `There is no operation ${id}.`);
}
