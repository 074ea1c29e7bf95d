import { type ChildProcess, spawn, type SpawnOptions } from "node:child_process";
import { once } from "node:events";
import { cleanUp, type Group } from "./clean-up.ts";

/** What the warden is told, one JSON document a line. */
export type WardenMessage = { watch: Group } | { ended: number } | { folder: string };

/**
 * A small process beside this one, which ends what was started here and removes what was written,
 * as soon as this process is gone: also after SIGKILL, which no handler in here would see.
 */
export interface Warden {
  /** Starts a process in a group of its own. `stopSignal` ends it. @default "SIGKILL" */
  spawn(
    command: string,
    args: readonly string[],
    options?: SpawnOptions & { stopSignal?: NodeJS.Signals },
  ): ChildProcess;
  /** Removed at the end, with all that is in it. */
  ownFolder(path: string): void;
  /** True as soon as `end` was called. */
  isEnding(): boolean;
  /** Ends and removes everything now. Idempotent. */
  end(): Promise<void>;
}

export function startWarden(): Warden {
  const keeper = spawn(process.execPath, [new URL("warden-main.ts", import.meta.url).pathname], {
    detached: true,
    stdio: ["pipe", "ignore", "ignore"],
    cwd: "/",
    env: {},
  });
  keeper.unref();
  // Told to a warden that was killed: `end` then does its work from here.
  keeper.stdin.on("error", () => undefined);
  keeper.on("error", () => undefined);
  const groups = new Map<number, Group>();
  const folders = new Set<string>();
  const tell = (message: WardenMessage) => keeper.stdin.write(`${JSON.stringify(message)}\n`);
  let ending: Promise<void> | undefined;

  async function end(): Promise<void> {
    if (keeper.exitCode === null && keeper.signalCode === null && keeper.pid !== undefined) {
      keeper.ref();
      const exit = once(keeper, "exit");
      keeper.stdin.end();
      await exit;
    }
    await cleanUp(groups.values(), folders);
  }

  return {
    spawn(command, args, { stopSignal = "SIGKILL", ...options } = {}) {
      if (ending) throw new Error(`${command} is started in a sandbox that was stopped`);
      const child = spawn(command, args, { ...options, detached: true });
      const leader = child.pid;
      if (leader !== undefined) {
        const group = { leader, signal: stopSignal };
        groups.set(leader, group);
        tell({ watch: group });
        child.once("exit", () => {
          // The number may be another process's soon.
          groups.delete(leader);
          tell({ ended: leader });
        });
      }
      return child;
    },
    ownFolder(path) {
      folders.add(path);
      tell({ folder: path });
    },
    isEnding: () => ending !== undefined,
    end: () => (ending ??= end()),
  };
}
