import { fromKysely, type PgBoss } from "pg-boss";
import { z } from "zod";
import type { ProjectChanges } from "../../core/settings.ts";
import { projectStackName } from "../../core/stack-name.ts";
import { removeProject } from "../store/projects.ts";
import { QUEUE } from "../store/queue.ts";
import { jsonText, type OperationRow } from "../store/schema.ts";
import type { Store, StoreTransaction } from "../store/store.ts";
import type { JobResult } from "../worker/messages.ts";
import type { PastAttempt } from "./lock-owner.ts";
import type { NumberedEvent } from "../../core/operation.ts";
import {
  addAttempt,
  addEngine,
  addEvents,
  changeOperation,
  isOpen,
  lockedRow,
  setFoundEmpty,
} from "./rows.ts";
import type { RunnerIdentity } from "./runner-identity.ts";

/** Of a stack, the newest attempts: older ones have left no lock. */
const PAST = 50;

/** A job of the queue, as it was given to this runner: another attempt has another count. */
export interface Ticket {
  readonly id: string;
  readonly retryCount: number;
}

export interface Office {
  readonly store: Store;
  readonly boss: PgBoss;
  readonly runner: RunnerIdentity;
}

/** The operation is not this runner's any more: it was taken for dead, and another may have it. */
export class LostAttempt extends Error {}

/**
 * One attempt at an operation, as the database knows it. Whatever it writes, it writes only while the
 * operation is this attempt's: a runner that was taken for dead cannot disturb the next one.
 */
export class Attempt {
  readonly row: OperationRow;
  #foundEmpty: boolean;
  readonly #office: Office;
  readonly #ticket: Ticket;

  private constructor(office: Office, ticket: Ticket, row: OperationRow) {
    this.#office = office;
    this.#ticket = ticket;
    this.row = row;
    this.#foundEmpty = row.found_empty;
  }

  /** Undefined where there is nothing to do: it has ended, or was to be stopped when its runner died. */
  static begin(office: Office, ticket: Ticket): Promise<Attempt | undefined> {
    return office.store.transaction(async (transaction) => {
      const found = await lockedRow(transaction, ticket.id);
      if (found && found.state !== "cancelling" && isOpen(found.state)) {
        const attempts = found.attempts + 1;
        const row = await changeOperation(transaction, found.id, {
          ...{ state: "running", attempts },
          started_at: found.started_at ?? new Date(),
        });
        await addAttempt(transaction, row, office.runner);
        return new Attempt(office, ticket, row);
      }
      if (found?.state === "cancelling") {
        await changeOperation(transaction, found.id, { state: "cancelled", ended_at: new Date() });
      }
      await office.boss.complete(QUEUE, ticket, null, { db: fromKysely(transaction) });
      return undefined;
    });
  }

  get stack(): string {
    return projectStackName(this.row.platform, this.row.slug);
  }

  /** Whether the project is known. */
  async hasProject(): Promise<boolean> {
    const project = await this.#office.store.run((db) =>
      db.selectFrom("projects").select("slug").where("slug", "=", this.row.slug).executeTakeFirst(),
    );
    return project !== undefined;
  }

  /** The project's settings as its row has them, for a stack that has no record of them yet. */
  async settings(): Promise<ProjectChanges> {
    const project = await this.#office.store.run((db) =>
      db
        .selectFrom("projects")
        .select("settings")
        .where("slug", "=", this.row.slug)
        .executeTakeFirst(),
    );
    return project?.settings ?? {};
  }

  /** Tells the queue that it goes on. Throws LostAttempt. */
  async touch(): Promise<void> {
    const answer = await this.#office.boss.touch(QUEUE, this.#ticket);
    if (z.looseObject({ affected: z.int() }).parse(answer).affected === 0) throw new LostAttempt();
  }

  /** It was asked to stop. */
  async isCancelling(): Promise<boolean> {
    const row = await this.#office.store.run((db) =>
      db.selectFrom("operations").select("state").where("id", "=", this.row.id).executeTakeFirst(),
    );
    return row?.state === "cancelling";
  }

  /** Throws LostAttempt. */
  async addEvents(events: readonly Omit<NumberedEvent, "number">[]): Promise<void> {
    await this.#own(async (transaction) => addEvents(transaction, this.row.id, events));
  }

  /** Nothing of the project was there before this operation: all that is there now, it made. */
  get foundEmpty(): boolean {
    return this.#foundEmpty;
  }

  /** Throws LostAttempt. */
  async noteEmpty(): Promise<void> {
    await this.#own((transaction) => setFoundEmpty(transaction, this.row.id));
    this.#foundEmpty = true;
  }

  /** By these a lock that has stayed is known as ours. */
  async addEngine(pid: number): Promise<void> {
    await this.#office.store.run((db) => addEngine(db, this.row, pid));
  }

  /** The attempts at this and at other operations of the stack that are over, newest first. */
  async past(): Promise<PastAttempt[]> {
    const { id, slug, platform, attempts } = this.row;
    const rows = await this.#office.store.run((db) =>
      db
        .selectFrom("operation_attempts")
        .innerJoin("operations", "operations.id", "operation_attempts.operation_id")
        .select([
          "operation_attempts.runner",
          "operation_attempts.engines",
          "operation_attempts.started_at",
        ])
        .where("operations.slug", "=", slug)
        .where("operations.platform", "=", platform)
        .where((where) =>
          where.not(
            where.and([
              where("operation_attempts.operation_id", "=", id),
              where("operation_attempts.attempt", "=", attempts),
            ]),
          ),
        )
        .orderBy("operation_attempts.started_at", "desc")
        .limit(PAST)
        .execute(),
    );
    return rows.map(({ started_at: startedAt, ...rest }) => ({ ...rest, startedAt }));
  }

  /** Throws LostAttempt. */
  async end({ outcome, remaining, gone }: Omit<JobResult, "type" | "killed">): Promise<void> {
    const { id, slug } = this.row;
    await this.#own(async (transaction) => {
      if (gone) await removeProject(transaction, slug);
      await changeOperation(transaction, id, {
        ...{ state: outcome.result, ended_at: new Date() },
        ...{ outcome: jsonText(outcome), remaining: jsonText(remaining) },
      });
      const { boss } = this.#office;
      await boss.complete(QUEUE, this.#ticket, null, { db: fromKysely(transaction) });
    });
  }

  /** Back to the queue, where it is the next of its stack. Throws LostAttempt. */
  async handBack(): Promise<void> {
    await this.#own((transaction) => requeue(transaction, this.#office.boss, this.row.id));
  }

  /** Does the work in a transaction in which nobody else can take the operation. */
  async #own(work: (transaction: StoreTransaction) => Promise<void>): Promise<void> {
    await this.#office.store.transaction(async (transaction) => {
      const row = await lockedRow(transaction, this.row.id);
      if (row?.attempts !== this.row.attempts || !isOpen(row.state) || row.state === "queued") {
        throw new LostAttempt();
      }
      await work(transaction);
    });
  }
}

/** One that runs waits again; one that was to be stopped ends when it is begun next. */
export async function requeue(
  transaction: StoreTransaction,
  boss: PgBoss,
  id: string,
): Promise<void> {
  const row = await lockedRow(transaction, id);
  if (row?.state === "running") await changeOperation(transaction, id, { state: "queued" });
  await boss.fail(QUEUE, id, null, { db: fromKysely(transaction) });
}
