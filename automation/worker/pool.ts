import { join } from "node:path";
import { Worker } from "./worker.ts";

export interface PoolOptions {
  /** Begins the marks of all its workers. */
  readonly mark: string;
  /** Holds their work folders. */
  readonly folder: string;
  readonly program?: string | undefined;
  readonly memoryMb: number;
  /** Workers that are kept ready. */
  readonly spare: number;
}

/** Keeps a few workers ready: loading the engine and the program takes longer than a short operation. */
export class Pool {
  readonly #options: PoolOptions;
  readonly #waiting: Worker[] = [];
  #made = 0;
  #isClosed = false;

  constructor(options: PoolOptions) {
    this.#options = options;
    this.#fill();
  }

  /** A worker, for one job; ready, or about to be. */
  take(): Worker {
    const worker = this.#waiting.shift() ?? this.#make();
    this.#fill();
    return worker;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all(this.#waiting.splice(0).map((worker) => worker.kill()));
  }

  #fill(): void {
    while (!this.#isClosed && this.#waiting.length < this.#options.spare) {
      const worker = this.#make();
      this.#waiting.push(worker);
      void worker.exited.then(() => {
        const index = this.#waiting.indexOf(worker);
        // Killed while it waited: another one takes its place with the next job.
        if (index !== -1) this.#waiting.splice(index, 1);
      });
    }
  }

  #make(): Worker {
    const { mark, folder, program, memoryMb } = this.#options;
    const name = String(++this.#made);
    return new Worker({
      mark: `${mark}/${name}.`,
      workDir: join(folder, name),
      program,
      memoryMb,
    });
  }
}
