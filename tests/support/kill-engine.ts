import { readdir, readFile } from "node:fs/promises";

/** An engine that was killed. */
export interface Killed {
  /**
   * Kills the plugins that it had started. Pulumi's own for dynamic resources does not notice that
   * its engine is gone; what it was asked for, it finishes.
   */
  killPlugins(): Promise<void>;
}

/** Kills the engine that works on a stack; undefined where none does. */
export async function killEngine(stack: string): Promise<Killed | undefined> {
  const all = await processes();
  const engine = all.find(
    ({ words: [command = "", ...args] }) =>
      command.endsWith("pulumi") &&
      args.some((word) => word === "up" || word === "destroy") &&
      args.includes(stack),
  );
  if (!engine) return undefined;
  process.kill(-engine.pid, "SIGKILL");
  const plugins = all.filter(({ parent }) => parent === engine.pid).map(({ pid }) => pid);
  return {
    async killPlugins() {
      for (const { pid } of await processes()) {
        if (plugins.includes(pid)) process.kill(pid, "SIGKILL");
      }
    },
  };
}

interface Process {
  readonly pid: number;
  readonly parent: number;
  readonly words: readonly string[];
}

async function processes(): Promise<Process[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(
    pids.map(async (pid) => {
      const read = (name: string) => readFile(`/proc/${pid}/${name}`, "utf8").catch(() => "");
      const [, state, parent] = /\) (\w) (\d+)/.exec(await read("stat")) ?? [];
      const words = (await read("cmdline")).split("\0");
      return { pid: Number(pid), parent: Number(parent), words, isLive: state !== "Z" };
    }),
  );
  return found.filter(({ isLive, words }) => isLive && words[0] !== "");
}
