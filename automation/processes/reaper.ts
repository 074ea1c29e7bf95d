import { type ChildProcess, spawn, type SpawnOptions } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { Owned, type OwnedMessage } from "./owned.ts";

const MAIN = fileURLToPath(new URL("reaper-main.ts", import.meta.url));

interface ReapedOptions extends SpawnOptions {
  /** @default "SIGKILL" */
  readonly stopSignal?: NodeJS.Signals;
  /** How long the process may take after `stopSignal` before it gets SIGKILL. @default 3 s */
  readonly killAfterMs?: number;
}

/**
 * Ends processes and removes folders when this process ends. A small process beside this one does it
 * (reaper-main.ts), so it also happens after SIGKILL, which no handler in this process could see.
 */
export interface Reaper {
  /** Starts a process in a process group of its own; the reaper ends the group. */
  spawn(command: string, args: readonly string[], options?: ReapedOptions): ChildProcess;
  /** Makes the reaper kill every process that has a variable starting with `prefix` (`NAME=value`). */
  ownProcesses(prefix: string): void;
  /**
   * Makes the reaper run a command after the processes have ended, for what the kernel keeps of them.
   * It gets 20 s, and no environment.
   */
  ownCommand(command: string, args: readonly string[]): void;
  /** Makes the reaper remove the folder with everything in it. */
  ownFolder(path: string): void;
  /** True once `close` was called. */
  isClosing(): boolean;
  /** Ends and removes everything now. Idempotent. */
  close(): Promise<void>;
}

export function startReaper(): Reaper {
  const helper = spawn(process.execPath, [MAIN], {
    detached: true,
    stdio: ["pipe", "ignore", "ignore"],
    cwd: "/",
    env: {},
  });
  helper.unref();
  // The helper may be killed; `close` then does its work in this process.
  helper.stdin.on("error", () => undefined);
  helper.on("error", () => undefined);
  const owned = new Owned();
  const own = (message: OwnedMessage) => {
    owned.apply(message);
    helper.stdin.write(`${JSON.stringify(message)}\n`);
  };
  let closing: Promise<void> | undefined;

  async function close(): Promise<void> {
    if (helper.exitCode === null && helper.signalCode === null && helper.pid !== undefined) {
      helper.ref();
      const exit = once(helper, "exit");
      helper.stdin.end();
      await exit;
    }
    await owned.cleanUp();
  }

  return {
    spawn(command, args, { stopSignal = "SIGKILL", killAfterMs = 3_000, ...options } = {}) {
      if (closing) throw new Error(`${command} was started after its reaper was closed`);
      const child = spawn(command, args, { ...options, detached: true });
      const { pid } = child;
      if (pid !== undefined) {
        own({ group: { leader: pid, stopSignal, killAfterMs } });
        // The kernel may give the process id to another process from now on.
        child.once("exit", () => own({ ended: pid }));
      }
      return child;
    },
    ownProcesses: (variable) => own({ variable }),
    ownCommand: (command, args) => own({ command, args }),
    ownFolder: (folder) => own({ folder }),
    isClosing: () => closing !== undefined,
    close: () => (closing ??= close()),
  };
}
