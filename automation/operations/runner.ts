import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import pTimeout from "p-timeout";
import { userMessage } from "../../core/errors.ts";
import { Poll } from "../poll.ts";
import { type Reaper, startReaper } from "../processes/reaper.ts";
import { Notifier } from "../store/notifier.ts";
import { programVersion } from "../rollouts/program-version.ts";
import { openQueue, QUEUE } from "../store/queue.ts";
import type { Store } from "../store/store.ts";
import { killWorkerProcesses, WORKER_MARK } from "../worker/environment.ts";
import { Pool } from "../worker/pool.ts";
import { type AttemptContext, type FetchedJob, requeue } from "./attempt.ts";
import { Execution, type RunnerLog } from "./execution.ts";
import { OPERATION_CHANGES } from "./notifier.ts";
import { isProvedDead, thisRunner } from "./runner-identity.ts";
import { deleteOldOperations, lockRunning } from "./tables.ts";

/** In ms: how often the queue is read without a notification, because one can get lost. */
const POLL_MS = 2_000;
/** In ms: how often operations of dead runners are searched. */
const SWEEP_MS = 5_000;
const DELETE_OLD_MS = 3_600_000;

export interface RunnerOptions {
  readonly store: Store;
  readonly log: RunnerLog;
  /** Operations at once. Default: one per core. */
  readonly concurrency?: number;
  /** The memory that one operation's processes may use together, in MiB. Default: 1536. */
  readonly memoryMb?: number;
  /** How many times an operation is begun if its workers die. Default: 5. */
  readonly maxAttempts?: number;
  /** In ms: an operation is stopped after this time. Default: an hour. */
  readonly deadline?: number;
  /** In ms: a cancelled operation's worker is killed after this time. Default: 2 minutes. */
  readonly cancelGrace?: number;
  /** Keep the plugins of an operation for later ones. Default: true. */
  readonly keepsPlugins?: boolean;
  /** A module whose default export is the stacks' program. Default: this package's. */
  readonly program?: string;
}

/**
 * Takes operations from the queue and gives them to workers. Any number of runners may share a
 * database: the queue runs one operation of a stack at a time, and another runner continues the
 * operations of a runner that died.
 */
export class Runner {
  readonly #options: Required<Omit<RunnerOptions, "program">> & Pick<RunnerOptions, "program">;
  readonly #context: AttemptContext;
  readonly #notifier;
  readonly #running = new Set<Execution>();
  readonly #stopping = new AbortController();
  readonly #poll = new Poll(POLL_MS, this.#stopping.signal);
  #pool: Pool | undefined;
  #reaper: Reaper | undefined;
  #programVersion = "";
  #loops: Promise<unknown> = Promise.resolve();

  constructor(options: RunnerOptions) {
    this.#options = {
      concurrency: availableParallelism(),
      memoryMb: 1536,
      maxAttempts: 5,
      deadline: 3_600_000,
      cancelGrace: 120_000,
      keepsPlugins: true,
      ...options,
    };
    const { store } = options;
    this.#context = { store, boss: openQueue(store, { watch: true }), runner: thisRunner() };
    this.#notifier = new Notifier(store, OPERATION_CHANGES);
  }

  /** Rejects with RDEV_STORE, or like `Store.run` if the database does not answer. */
  async start(): Promise<void> {
    await this.#context.boss.start();
    const { id: mark } = this.#context.runner;
    const folder = join(tmpdir(), `rdev-infra-${mark}`);
    this.#reaper = startReaper();
    this.#reaper.ownProcesses(`${WORKER_MARK}=${mark}`);
    this.#reaper.ownFolder(folder);
    const { program, memoryMb, keepsPlugins, concurrency } = this.#options;
    this.#programVersion = await programVersion(program);
    const spare = Math.min(concurrency, 2);
    this.#pool = new Pool({ mark, folder, program, memoryMb, keepsPlugins, spare });
    this.#notifier.subscribe(({ id, state }) => {
      if (state === "cancelling") {
        for (const execution of this.#running) if (execution.id === id) execution.checkCancelled();
      } else if (state !== undefined && state !== "running") this.#poll.wake();
    });
    this.#loops = Promise.all([this.#fetchLoop(), this.#sweepLoop()]);
  }

  /** How many operations run here. */
  get running(): number {
    return this.#running.size;
  }

  /**
   * Begins nothing new, and waits for the running operations. Those that have not ended by the
   * deadline, in ms, stop after the step under way and return to the queue. Idempotent.
   */
  async stop({ deadline }: { readonly deadline: number }): Promise<void> {
    this.#stopping.abort();
    await this.#loops;
    const ended = Promise.all([...this.#running].map((execution) => execution.ended));
    await pTimeout(ended, { milliseconds: Math.max(deadline, 1), fallback: () => undefined });
    for (const execution of this.#running) execution.handBack();
    await ended;
    await this.#pool?.close();
    await this.#reaper?.close();
    await this.#notifier.close();
    await this.#context.boss.stop({ graceful: false });
  }

  async #fetchLoop(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      this.#poll.begin();
      const free = this.#options.concurrency - this.#running.size;
      try {
        const jobs = free > 0 ? await this.#context.boss.fetch(QUEUE, { batchSize: free }) : [];
        for (const { id, retryCount, heartbeatSeconds } of jobs) {
          this.#begin({ id, retryCount }, heartbeatSeconds ?? 60);
        }
      } catch (error) {
        this.#options.log.warn({ component: "saga", error: userMessage(error) }, "no queue");
      }
      await this.#poll.wait();
    }
  }

  #begin(job: FetchedJob, leaseSeconds: number): void {
    const { log, maxAttempts, deadline, cancelGrace } = this.#options;
    const execution = new Execution(job, {
      context: this.#context,
      worker: () => this.#pool!.take(),
      log,
      maxAttempts,
      deadline,
      cancelGrace,
      leaseSeconds,
      programVersion: this.#programVersion,
    });
    this.#running.add(execution);
    void execution.ended.then(() => {
      this.#running.delete(execution);
      this.#poll.wake();
    });
  }

  /** Takes over the operations of dead runners of this machine. For other machines the lease expires. */
  async #sweepLoop(): Promise<void> {
    let deletedAt = -Infinity;
    while (!this.#stopping.signal.aborted) {
      await this.#requeueDead().catch(() => undefined); // tried again
      if (performance.now() - deletedAt > DELETE_OLD_MS) {
        deletedAt = performance.now();
        await deleteOldOperations(this.#context.store).catch(() => undefined);
      }
      await sleep(SWEEP_MS, undefined, { signal: this.#stopping.signal }).catch(() => undefined);
    }
  }

  async #requeueDead(): Promise<void> {
    const { store, boss } = this.#context;
    await store.transaction(async (transaction) => {
      for (const { id, runner } of await lockRunning(transaction)) {
        if (!isProvedDead(runner)) continue;
        killWorkerProcesses(runner.id);
        await requeue(transaction, boss, id);
      }
    });
  }
}
