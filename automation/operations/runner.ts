import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { userMessage } from "../../core/errors.ts";
import type { Store } from "../store/store.ts";
import { openQueue, QUEUE } from "../store/queue.ts";
import { type Reaper, startReaper } from "../processes/reaper.ts";
import { killWorkerProcesses, WORKER_MARK } from "../worker/environment.ts";
import { Pool } from "../worker/pool.ts";
import { type Office, requeue } from "./attempt.ts";
import { Bell } from "./bell.ts";
import { Execution } from "./execution.ts";
import { deleteOldOperations, OPEN } from "./rows.ts";
import type { RunnerLog } from "./runner-log.ts";
import { isProvedDead, thisRunner } from "./runner-identity.ts";

/** In ms: how long a new operation may stay unseen when the database's notification was lost. */
const POLL_MS = 2_000;
const SWEEP_MS = 5_000;
const FORGET_MS = 3_600_000;

export interface RunnerOptions {
  readonly store: Store;
  readonly log: RunnerLog;
  /** Operations at once. Default: one a core. */
  readonly concurrency?: number;
  /** What one operation's processes may use together, in MiB. Default: 1536. */
  readonly memoryMb?: number;
  /** How often an operation is begun at most, when its workers die. Default: 5. */
  readonly maxAttempts?: number;
  /** After so long, in ms, an operation is stopped. Default: an hour. */
  readonly deadline?: number;
  /** A module whose default export is the stacks' program. Default: this package's. */
  readonly program?: string;
}

/**
 * Takes operations from the queue and has workers do them. Any number of runners may work on one
 * database: of one stack only one operation runs, and what a runner leaves when it dies, another one
 * takes up.
 */
export class Runner {
  readonly #options: Required<Omit<RunnerOptions, "program">> & Pick<RunnerOptions, "program">;
  readonly #office: Office;
  readonly #bell: Bell;
  readonly #running = new Set<Execution>();
  readonly #stopping = new AbortController();
  #wake: () => void = () => undefined;
  #isNew = false;
  #pool: Pool | undefined;
  #reaper: Reaper | undefined;
  #loops: Promise<unknown> = Promise.resolve();

  constructor(options: RunnerOptions) {
    this.#options = {
      concurrency: availableParallelism(),
      memoryMb: 1536,
      maxAttempts: 5,
      deadline: 3_600_000,
      ...options,
    };
    const { store } = options;
    this.#office = { store, boss: openQueue(store, { watch: true }), runner: thisRunner() };
    this.#bell = new Bell(store);
  }

  /** Rejects with RDEV_STORE, or as `Store.run`, where the database is not there. */
  async start(): Promise<void> {
    await this.#office.boss.start();
    const { id: mark } = this.#office.runner;
    const folder = join(tmpdir(), `rdev-infra-${mark}`);
    this.#reaper = startReaper();
    this.#reaper.ownProcesses(`${WORKER_MARK}=${mark}`);
    this.#reaper.ownFolder(folder);
    const { program, memoryMb, concurrency } = this.#options;
    this.#pool = new Pool({ mark, folder, program, memoryMb, spare: Math.min(concurrency, 2) });
    this.#bell.onNews(({ id, state }) => {
      if (state === "cancelling") {
        for (const each of this.#running) if (each.id === id) each.look();
      } else if (state !== undefined && state !== "running") this.#news();
    });
    this.#loops = Promise.all([this.#take(), this.#sweep()]);
  }

  /** How many operations run here. */
  get running(): number {
    return this.#running.size;
  }

  /**
   * Begins nothing more, and waits until what runs has ended. What has not by the deadline, in ms, is
   * stopped where it can go on from, and given back to the queue. Idempotent.
   */
  async stop({ deadline }: { readonly deadline: number }): Promise<void> {
    this.#stopping.abort();
    this.#wake();
    await this.#loops;
    const ended = Promise.all([...this.#running].map((each) => each.ended));
    const late = new AbortController();
    await Promise.race([ended, sleep(deadline, undefined, { signal: late.signal }).catch(() => 0)]);
    late.abort();
    for (const each of this.#running) each.handBack();
    await ended;
    await this.#pool?.close();
    await this.#reaper?.close();
    await this.#bell.close();
    await this.#office.boss.stop({ graceful: false });
  }

  #news(): void {
    this.#isNew = true;
    this.#wake();
  }

  async #take(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      this.#isNew = false;
      const free = this.#options.concurrency - this.#running.size;
      try {
        const jobs = free > 0 ? await this.#office.boss.fetch(QUEUE, { batchSize: free }) : [];
        for (const { id, retryCount, heartbeatSeconds } of jobs) {
          this.#begin({ id, retryCount }, heartbeatSeconds ?? 60);
        }
      } catch (error) {
        this.#options.log.warn({ component: "saga", error: userMessage(error) }, "no queue");
      }
      if (!this.#isNew) await this.#nextNews();
    }
  }

  #begin(ticket: { id: string; retryCount: number }, leaseSeconds: number): void {
    const { log, maxAttempts, deadline } = this.#options;
    const execution = new Execution(ticket, {
      ...{ office: this.#office, worker: () => this.#pool!.take(), log },
      ...{ maxAttempts, deadline, leaseSeconds },
    });
    this.#running.add(execution);
    void execution.ended.then(() => {
      this.#running.delete(execution);
      this.#news();
    });
  }

  /** Takes up at once what ran in a process of this machine that is gone; a silent one takes longer. */
  async #sweep(): Promise<void> {
    let forgotten = -Infinity;
    while (!this.#stopping.signal.aborted) {
      await this.#takeFromDead().catch(() => undefined); // tried again
      if (performance.now() - forgotten > FORGET_MS) {
        forgotten = performance.now();
        await deleteOldOperations(this.#office.store).catch(() => undefined);
      }
      await sleep(SWEEP_MS, undefined, { signal: this.#stopping.signal }).catch(() => undefined);
    }
  }

  async #takeFromDead(): Promise<void> {
    const { store, boss } = this.#office;
    await store.transaction(async (transaction) => {
      const attempts = await transaction
        .selectFrom("operations")
        .innerJoin("operation_attempts", (join) =>
          join
            .onRef("operation_attempts.operation_id", "=", "operations.id")
            .onRef("operation_attempts.attempt", "=", "operations.attempts"),
        )
        .select(["operations.id", "operation_attempts.runner"])
        .where("operations.state", "in", OPEN)
        .where("operations.state", "!=", "queued")
        // Nobody else's at the same time, nor while it is being ended.
        .forUpdate("operations")
        .skipLocked()
        .execute();
      for (const { id, runner } of attempts) {
        if (!isProvedDead(runner)) continue;
        killWorkerProcesses(runner.id);
        await requeue(transaction, boss, id);
      }
    });
  }

  async #nextNews(): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, POLL_MS);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
      if (this.#stopping.signal.aborted) this.#wake();
    });
  }
}
