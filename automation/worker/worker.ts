import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdir, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import type { OperationEvent } from "../../core/operation.ts";
import type { LockHolder } from "../engine/quirks/cli-text.ts";
import { makeWorkFolder } from "../engine/folders.ts";
import { memoryOf } from "../processes/processes.ts";
import { killWorkerProcesses, workerEnvironment, workerProcesses } from "./environment.ts";
import type { PluginLease, PluginPool } from "./plugin-pool.ts";
import { parseReport, type Command, type Fact, type Job, type JobResult } from "./messages.ts";

const MAIN = fileURLToPath(new URL("main.ts", import.meta.url));
const MEMORY_POLL_MS = 1_000;

interface WorkerOptions {
  /** Identifies its processes. No other worker's mark may start with it. */
  readonly mark: string;
  /** Its work folder: made when a job starts, removed when the worker ends. */
  readonly workDir: string;
  /** A module whose default export is the stacks' program. Default: this package's. */
  readonly program?: string | undefined;
  /** How much memory all its processes may use together with its plugins, in MiB. */
  readonly memoryMb: number;
  /** Lends plugins to its job. Default: the engine starts its own. */
  readonly plugins?: PluginPool | undefined;
}

interface JobListeners {
  readonly onEvent: (event: OperationEvent) => void;
  readonly onEngine: (pid: number) => void;
  readonly mayBreakLocks: (holders: readonly LockHolder[]) => Promise<boolean>;
  /** The worker waits until this resolves. */
  readonly onFact: (fact: Fact) => Promise<void>;
}

export interface WorkerCrash {
  readonly type: "crashed";
  readonly reason: string;
  /** A retry would crash again. */
  readonly isFinal: boolean;
}

/** A worker's process (main.ts), as the service controls it. */
export class Worker {
  readonly #options: WorkerOptions;
  readonly #child: ChildProcess;
  readonly #exit: Promise<string>;
  readonly #ready: Promise<void>;
  #lease: PluginLease | undefined;
  #isEnded = false;
  #memoryExceeded: string | undefined;

  constructor(options: WorkerOptions) {
    this.#options = options;
    const { mark, memoryMb, program = null } = options;
    this.#child = fork(MAIN, [], {
      env: workerEnvironment(mark, Math.floor(memoryMb / 3)),
      // A process group of its own: Ctrl-C in the terminal must reach only the service.
      detached: true,
      stdio: ["ignore", "ignore", "ignore", "ipc"],
      execArgv: [],
    });
    this.#child.on("error", () => undefined); // #exit reports it
    this.#exit = new Promise((resolve) => {
      this.#child.once("exit", (code, signal) => resolve(signal ?? `code ${code}`));
      this.#child.once("error", (error) => resolve((error as NodeJS.ErrnoException).code ?? ""));
    });
    this.#ready = this.#untilReady();
    this.#ready.catch(() => undefined);
    this.#send({ type: "prepare", program });
  }

  get exited(): Promise<unknown> {
    return this.#exit;
  }

  /** Runs the job, then ends the process and all that it started. Never throws. */
  async run(
    job: Job,
    { onEvent, onEngine, mayBreakLocks, onFact }: JobListeners,
  ): Promise<JobResult | WorkerCrash> {
    const { workDir } = this.#options;
    const memoryTimer = setInterval(() => this.#limitMemory(), MEMORY_POLL_MS);
    let keepsPlugins = false;
    try {
      await Promise.all([this.#ready, this.#leasePlugins()]);
      await mkdir(dirname(workDir), { recursive: true, mode: 0o700 });
      await makeWorkFolder(workDir);
      const result = new Promise<JobResult>((resolve) => {
        this.#child.on("message", (message) => {
          const report = parseReport(message);
          if (report.type === "done") {
            ({ keepsPlugins } = report);
            resolve(report);
          } else if (report.type === "event") onEvent(report.event);
          else if (report.type === "engine") onEngine(report.pid);
          else if (report.type === "found") {
            void onFact(report.fact).then(
              () => this.#send({ type: "foundRecorded" }),
              () => this.kill(),
            );
          } else if (report.type === "locked") {
            void mayBreakLocks(report.holders).then((answer) =>
              this.#send({ type: "mayBreakLocks", answer }),
            );
          }
        });
      });
      this.#run(job);
      return await Promise.race([result, this.#exit.then((reason) => this.#crash(reason))]);
    } catch (error) {
      return this.#crash(error instanceof Error ? error.message : String(error));
    } finally {
      clearInterval(memoryTimer);
      await this.#end(keepsPlugins);
    }
  }

  /** Lets the engine finish what is under way, and start nothing more. */
  cancel(): void {
    this.#send({ type: "cancel" });
  }

  /** The worker ends itself after so long, in ms, unless it is renewed before. */
  renew(ms: number): void {
    this.#send({ type: "lease", ms });
  }

  /** Ends it, all that it started and its plugins at once, and removes its folder. Idempotent. */
  kill(): Promise<void> {
    return this.#end(false);
  }

  async #end(keepsPlugins: boolean): Promise<void> {
    const { mark, workDir } = this.#options;
    this.#isEnded = true;
    this.#child.kill("SIGKILL");
    killWorkerProcesses(mark);
    if (!keepsPlugins) this.#lease?.discard();
    await this.#exit;
    this.#lease?.giveBack();
    await rm(workDir, { recursive: true, force: true, maxRetries: 3 });
  }

  /** Without plugins of the service, for whatever reason, the engine starts its own. */
  async #leasePlugins(): Promise<void> {
    this.#lease = await this.#options.plugins?.lease().catch(() => undefined);
    if (this.#isEnded) this.#lease?.discard();
  }

  #run(job: Job): void {
    const { workDir } = this.#options;
    const lease = this.#lease ? { mark: this.#lease.mark, names: [...this.#lease.names] } : null;
    this.#send({ type: "run", job, workDir, lease });
    void this.#lease?.ports.then(
      (ports) => this.#send({ type: "plugins", ports }),
      () => this.#send({ type: "plugins", ports: null }),
    );
  }

  #limitMemory(): void {
    const { mark, memoryMb } = this.#options;
    const marks = this.#lease ? [mark, this.#lease.mark] : [mark];
    const used = memoryOf(workerProcesses(...marks)) / 2 ** 20;
    if (used <= memoryMb) return;
    this.#memoryExceeded = `it used ${Math.round(used)} MiB of memory; the limit is ${memoryMb}`;
    void this.kill();
  }

  #crash(reason: string): WorkerCrash {
    return {
      type: "crashed",
      reason: this.#memoryExceeded ?? reason,
      isFinal: this.#memoryExceeded !== undefined,
    };
  }

  async #untilReady(): Promise<void> {
    const [message] = (await Promise.race([
      once(this.#child, "message"),
      this.#exit.then((reason) => Promise.reject(new Error(reason))),
    ])) as [unknown];
    parseReport(message);
  }

  #send(command: Command): void {
    // A process that has ended is reported by #exit, so a failed send needs no error here.
    if (this.#child.connected) this.#child.send(command, () => undefined);
  }
}
