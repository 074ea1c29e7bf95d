import { join } from "node:path";
import { PluginPool } from "./plugin-pool.ts";
import { Worker } from "./worker.ts";

interface PoolOptions {
  /** The marks of all its workers start with this. */
  readonly mark: string;
  /** Holds the workers' work folders. */
  readonly folder: string;
  readonly program?: string | undefined;
  readonly memoryMb: number;
  /** Keep plugins for later operations. */
  readonly keepsPlugins: boolean;
  /** How many idle workers to keep. */
  readonly spare: number;
}

/** Keeps idle workers and used plugins, because loading engine and program takes longer than a short operation. */
export class Pool {
  readonly #options: PoolOptions;
  readonly #idle: Worker[] = [];
  readonly #plugins: PluginPool | undefined;
  #count = 0;
  #isClosed = false;

  constructor(options: PoolOptions) {
    this.#options = options;
    if (options.keepsPlugins) this.#plugins = new PluginPool(options);
    this.#fill();
  }

  /** A worker for one job. It may still be loading. */
  take(): Worker {
    const worker = this.#idle.shift() ?? this.#start();
    this.#fill();
    return worker;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all(this.#idle.splice(0).map((worker) => worker.kill()));
    this.#plugins?.close();
  }

  #fill(): void {
    while (!this.#isClosed && this.#idle.length < this.#options.spare) {
      const worker = this.#start();
      this.#idle.push(worker);
      void worker.exited.then(() => {
        const index = this.#idle.indexOf(worker);
        // It was killed while idle. The next `take` starts another one.
        if (index !== -1) this.#idle.splice(index, 1);
      });
    }
  }

  #start(): Worker {
    const { mark, folder, program, memoryMb } = this.#options;
    const name = String(++this.#count);
    return new Worker({
      mark: `${mark}/${name}.`,
      workDir: join(folder, name),
      program,
      memoryMb,
      plugins: this.#plugins,
    });
  }
}
