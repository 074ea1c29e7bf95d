import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdir, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import type { OperationEvent } from "../engine/events.ts";
import type { LockHolder } from "../engine/messages.ts";
import { memoryOf } from "../engine/processes.ts";
import { workerEnvironment } from "./environment.ts";
import type { Job } from "./job.ts";
import { parseReport, type Done, type Order } from "./messages.ts";
import { killMarked, processesMarked } from "./processes.ts";
import { makeWorkFolder } from "./work-folder.ts";

const MAIN = fileURLToPath(new URL("main.ts", import.meta.url));
const MEMORY_LOOK_MS = 1_000;

export interface WorkerOptions {
  /** Names its processes: nobody else's begins so. */
  readonly mark: string;
  /** Its work folder: made for a job, removed at its end. */
  readonly workDir: string;
  /** A module whose default export is the stacks' program. Default: this package's. */
  readonly program?: string | undefined;
  /** What all its processes may use together, in MiB. */
  readonly memoryMb: number;
}

export interface Listeners {
  readonly onEvent: (event: OperationEvent) => void;
  readonly onEngine: (pid: number) => void;
  readonly mayBreakLocks: (holders: readonly LockHolder[]) => Promise<boolean>;
  /** The worker goes on once this has resolved. */
  readonly onFoundEmpty: () => Promise<void>;
}

/** How a job ended: as the worker says, or, where it cannot, how it died. */
export type Ending = Done | Death;

export interface Death {
  readonly type: "died";
  readonly how: string;
  /** Begun again, it would die again. */
  readonly final: boolean;
}

/** A worker's process, as the service sees it. */
export class Worker {
  readonly #options: WorkerOptions;
  readonly #child: ChildProcess;
  readonly #exit: Promise<string>;
  readonly #ready: Promise<void>;
  #tooLarge: string | undefined;

  constructor(options: WorkerOptions) {
    this.#options = options;
    const { mark, memoryMb, program = null } = options;
    this.#child = fork(MAIN, [], {
      env: workerEnvironment(mark, Math.floor(memoryMb / 3)),
      // Out of the terminal's group: Ctrl-C is for the service.
      detached: true,
      stdio: ["ignore", "ignore", "ignore", "ipc"],
      execArgv: [],
    });
    this.#child.on("error", () => undefined); // its exit is told as well
    this.#exit = new Promise((resolve) => {
      this.#child.once("exit", (code, signal) => resolve(signal ?? `code ${code}`));
      this.#child.once("error", (error) => resolve((error as NodeJS.ErrnoException).code ?? ""));
    });
    this.#ready = this.#untilReady();
    this.#ready.catch(() => undefined);
    this.#tell({ type: "prepare", program });
  }

  /** Resolves when its process has ended. */
  get exited(): Promise<unknown> {
    return this.#exit;
  }

  /** Does the job, and ends the process and all that it started. Never throws. */
  async run(
    job: Job,
    { onEvent, onEngine, mayBreakLocks, onFoundEmpty }: Listeners,
  ): Promise<Ending> {
    const { workDir } = this.#options;
    const watch = setInterval(() => this.#boundMemory(), MEMORY_LOOK_MS);
    try {
      await this.#ready;
      await mkdir(dirname(workDir), { recursive: true, mode: 0o700 });
      await makeWorkFolder(workDir);
      const done = new Promise<Done>((resolve) => {
        this.#child.on("message", (message) => {
          const report = parseReport(message);
          if (report.type === "done") resolve(report);
          else if (report.type === "event") onEvent(report.event);
          else if (report.type === "engine") onEngine(report.pid);
          else if (report.type === "foundEmpty") {
            void onFoundEmpty().then(
              () => this.#tell({ type: "noted" }),
              () => this.kill(),
            );
          } else if (report.type === "locked") {
            void mayBreakLocks(report.holders).then((answer) =>
              this.#tell({ type: "mayBreakLocks", answer }),
            );
          }
        });
      });
      this.#tell({ type: "run", job, workDir });
      return await Promise.race([done, this.#exit.then((how) => this.#death(how))]);
    } catch (error) {
      return this.#death(error instanceof Error ? error.message : String(error));
    } finally {
      clearInterval(watch);
      await this.kill();
    }
  }

  /** What is under way is finished, nothing more is begun. */
  cancel(): void {
    this.#tell({ type: "cancel" });
  }

  /** It may go on for so long, in ms, whether or not this process lives. */
  renew(ms: number): void {
    this.#tell({ type: "lease", ms });
  }

  /** Ends it and all that it started, at once; its folder goes. Idempotent. */
  async kill(): Promise<void> {
    const { mark, workDir } = this.#options;
    this.#child.kill("SIGKILL");
    killMarked(mark);
    await this.#exit;
    await rm(workDir, { recursive: true, force: true, maxRetries: 3 });
  }

  #boundMemory(): void {
    const { mark, memoryMb } = this.#options;
    const used = memoryOf(processesMarked(mark)) / 2 ** 20;
    if (used <= memoryMb) return;
    this.#tooLarge = `it used ${Math.round(used)} MiB of memory, of ${memoryMb}`;
    void this.kill();
  }

  #death(how: string): Death {
    return { type: "died", how: this.#tooLarge ?? how, final: this.#tooLarge !== undefined };
  }

  async #untilReady(): Promise<void> {
    const [message] = (await Promise.race([
      once(this.#child, "message"),
      this.#exit.then((how) => Promise.reject(new Error(how))),
    ])) as [unknown];
    parseReport(message);
  }

  #tell(order: Order): void {
    // One that has died is told of by its exit.
    if (this.#child.connected) this.#child.send(order, () => undefined);
  }
}
