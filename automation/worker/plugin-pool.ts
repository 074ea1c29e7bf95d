import { createHash } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { createServer, type Http2Server } from "node:http2";
import type { AddressInfo } from "node:net";
import { constants, homedir } from "node:os";
import { delimiter, join } from "node:path";
import { processEnvironment } from "../../core/connections.ts";
import { PACKAGE } from "../engine/folders.ts";
import { findPlugin, type PluginName, PLUGINS, startPlugin } from "../engine/plugin-process.ts";
import { homeWithoutLogs } from "../engine/quirks/debug-logs.ts";
import { memoryOf } from "../processes/processes.ts";
import { killWorkerProcesses, workerEnvironment, workerProcesses } from "./environment.ts";

/** When plugins are ended although their last operation succeeded. */
const LIMITS = {
  /** In ms since the last operation, because they cost memory. */
  idleMs: 5 * 60_000,
  /** In ms since their start, because each operation leaves them some memory and watches. */
  ageMs: 30 * 60_000,
  /** In operations. */
  uses: 50,
  /** The memory of all plugins that belong together, in MiB. */
  memoryMb: 384,
};

type Limits = typeof LIMITS;

/** Plugins that one operation uses. */
export interface PluginLease {
  /** The mark of their processes. No other mark starts with it. */
  readonly mark: string;
  readonly names: readonly PluginName[];
  /** The port of each. Rejects if one of them does not start. */
  readonly ports: Promise<Readonly<Partial<Record<PluginName, number>>>>;
  /** Ends the plugins, and all that they started, at once. Does nothing after `giveBack`. */
  discard(): void;
  /** Keeps the plugins for another operation, unless they must not be used again. */
  giveBack(): void;
}

interface PluginPoolOptions {
  /** The marks of all plugins start with this. */
  readonly mark: string;
  /** How much memory the processes of an operation may use together, in MiB. */
  readonly memoryMb: number;
  readonly limits?: Partial<Limits>;
}

/**
 * Keeps the plugins of operations that succeeded for later ones. Each set of plugins belongs to one
 * operation at a time. docs/decisions.md says why a set may be used again.
 */
export class PluginPool {
  readonly #options: PluginPoolOptions;
  readonly #limits: Limits;
  readonly #sets = new Set<PluginSet>();
  readonly #idle: PluginSet[] = [];
  #engine: Http2Server | undefined;
  #count = 0;
  #isClosed = false;

  constructor(options: PluginPoolOptions) {
    this.#options = options;
    this.#limits = { ...LIMITS, ...options.limits };
  }

  /** Undefined if no plugin is installed, so that the engine must find them. */
  async lease(): Promise<PluginLease | undefined> {
    const programs = await findPrograms();
    if (programs.length === 0 || this.#isClosed) return undefined;
    const surroundings = surroundingsOf(programs, this.#environment(""));
    for (let set = this.#idle.pop(); set; set = this.#idle.pop()) {
      if (set.mayServe(surroundings)) return this.#lend(set);
      set.end();
    }
    const mark = `${this.#options.mark}/plugins-${++this.#count}.`;
    const env = { ...this.#environment(mark), ...(await homeWithoutLogs()) };
    const set = new PluginSet({ mark, programs, surroundings, env, engine: await this.#address() });
    this.#sets.add(set);
    void set.ended.then(() => {
      this.#sets.delete(set);
      const index = this.#idle.indexOf(set);
      if (index !== -1) this.#idle.splice(index, 1);
    });
    return this.#lend(set);
  }

  close(): void {
    this.#isClosed = true;
    for (const set of this.#sets) set.end();
    this.#engine?.close();
  }

  #lend(set: PluginSet): PluginLease {
    set.begin();
    let isOver = false;
    const end = (work: () => void) => () => {
      if (!isOver) work();
      isOver = true;
    };
    return {
      mark: set.mark,
      names: set.names,
      ports: set.ports,
      discard: end(() => set.end()),
      giveBack: end(() => {
        if (this.#isClosed || !set.rest(this.#limits)) set.end();
        else this.#idle.push(set);
      }),
    };
  }

  #environment(mark: string): Record<string, string> {
    return workerEnvironment(mark, Math.floor(this.#options.memoryMb / 3));
  }

  /**
   * The address of a server that takes the place of the engine between operations. A plugin asks it
   * now and then for its health, and takes "not implemented" for an engine that lives.
   */
  async #address(): Promise<string> {
    if (!this.#engine) {
      this.#engine = createServer();
      this.#engine.on("stream", (stream) => {
        const headers = { "content-type": "application/grpc", "grpc-status": "12" };
        stream.respond({ ":status": 200, ...headers }, { endStream: true });
      });
      this.#engine.listen(0, "127.0.0.1").unref();
    }
    const engine = this.#engine;
    if (!engine.listening) await new Promise((resolve) => engine.once("listening", resolve));
    return `127.0.0.1:${(engine.address() as AddressInfo).port}`;
  }
}

interface Program {
  readonly name: PluginName;
  readonly path: string;
}

async function findPrograms(): Promise<Program[]> {
  const found = await Promise.all(
    PLUGINS.map(async (name) => ({ name, path: await findPlugin(name, PACKAGE) })),
  );
  return found.flatMap(({ name, path }) => (path === undefined ? [] : [{ name, path }]));
}

/** A fingerprint of what plugins read only once: their programs, variables and kubeconfig. */
function surroundingsOf(programs: readonly Program[], environment: Record<string, string>): string {
  const files = programs.map(({ path }) => {
    const { ino, size, mtimeMs } = statSync(path);
    return [path, ino, size, mtimeMs];
  });
  const kubeconfigs = processEnvironment()["KUBECONFIG"] ?? join(homedir(), ".kube", "config");
  const texts = kubeconfigs.split(delimiter).map(textOf);
  const all = JSON.stringify([files, Object.entries(environment).toSorted(), texts]);
  return createHash("sha256").update(all).digest("hex");
}

function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

interface PluginSetOptions {
  readonly mark: string;
  readonly programs: readonly Program[];
  readonly surroundings: string;
  readonly env: Readonly<Record<string, string>>;
  readonly engine: string;
}

/** One process of each plugin. */
class PluginSet {
  readonly mark: string;
  readonly names: readonly PluginName[];
  readonly ports: Promise<Readonly<Partial<Record<PluginName, number>>>>;
  /** Resolves once one of the plugins has ended, or did not start. */
  readonly ended: Promise<void>;
  readonly #surroundings: string;
  readonly #bornAt = performance.now();
  #uses = 0;
  #isEnding = false;
  #idleTimer: NodeJS.Timeout | undefined;

  constructor({ mark, programs, surroundings, env, engine }: PluginSetOptions) {
    this.mark = mark;
    this.names = programs.map(({ name }) => name);
    this.#surroundings = surroundings;
    const options = {
      engine,
      cwd: PACKAGE,
      env,
      priority: constants.priority.PRIORITY_BELOW_NORMAL,
    };
    const starting = programs.map(async ({ name, path }) => {
      const plugin = await startPlugin(path, options);
      if (this.#isEnding) plugin.kill();
      return { name, ...plugin };
    });
    const started = Promise.all(starting);
    this.ports = started.then((plugins) =>
      Object.fromEntries(plugins.map(({ name, port }) => [name, port] as const)),
    );
    this.ports.catch(() => undefined); // each lease reports it
    this.ended = started
      .then((plugins) => Promise.race(plugins.map(({ exited }) => exited)))
      .catch(() => undefined)
      .then(() => this.end());
  }

  mayServe(surroundings: string): boolean {
    return !this.#isEnding && surroundings === this.#surroundings;
  }

  begin(): void {
    this.#uses += 1;
    clearTimeout(this.#idleTimer);
  }

  /** False if no operation may use it again. */
  rest({ uses, ageMs, memoryMb, idleMs }: Limits): boolean {
    const pids = workerProcesses(this.mark);
    const isWorn =
      this.#isEnding ||
      this.#uses >= uses ||
      performance.now() - this.#bornAt > ageMs ||
      memoryOf(pids) > memoryMb * 2 ** 20 ||
      // A plugin has ended, or a command left a process behind.
      pids.length !== this.names.length;
    if (isWorn) return false;
    this.#idleTimer = setTimeout(() => this.end(), idleMs).unref();
    return true;
  }

  end(): void {
    this.#isEnding = true;
    clearTimeout(this.#idleTimer);
    killWorkerProcesses(this.mark);
  }
}
