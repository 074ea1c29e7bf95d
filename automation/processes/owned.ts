import { execFile } from "node:child_process";
import { rm } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { isZombie, killProcessesWithVariable } from "./processes.ts";

/** A group of processes that must end, named by its leader's process id. */
interface ProcessGroup {
  readonly leader: number;
  readonly stopSignal: NodeJS.Signals;
  /** SIGKILL follows when the group still runs after so long. */
  readonly killAfterMs: number;
}

/** One change to what a process owns. */
export type OwnedMessage =
  | { readonly group: ProcessGroup }
  | { readonly ended: number }
  | { readonly command: string; readonly args: readonly string[] }
  | { readonly folder: string }
  | { readonly variable: string };

const POLL_MS = 20;
const KILL_MS = 3_000;
const COMMAND_MS = 20_000;

/** The processes, and what they leave, that must not outlive their owner. */
export class Owned {
  readonly #groups = new Map<number, ProcessGroup>();
  readonly #commands: { command: string; args: readonly string[] }[] = [];
  readonly #folders = new Set<string>();
  readonly #variables = new Set<string>();

  apply(message: OwnedMessage): void {
    if ("group" in message) this.#groups.set(message.group.leader, message.group);
    else if ("ended" in message) this.#groups.delete(message.ended);
    else if ("command" in message) this.#commands.push(message);
    else if ("folder" in message) this.#folders.add(message.folder);
    else this.#variables.add(message.variable);
  }

  /** Ends the processes, then runs the commands, then removes the folders. Idempotent. */
  async cleanUp(): Promise<void> {
    for (const variable of this.#variables) killProcessesWithVariable(variable);
    await Promise.all([...this.#groups.values()].map(stop));
    await Promise.all(
      this.#commands.map(({ command, args }) =>
        // Its failure must not keep the folders.
        promisify(execFile)(command, args, { timeout: COMMAND_MS, env: {} }).catch(() => undefined),
      ),
    );
    for (const folder of this.#folders) {
      await rm(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: POLL_MS });
    }
  }
}

async function stop({ leader, stopSignal, killAfterMs }: ProcessGroup): Promise<void> {
  send(leader, stopSignal);
  if (await hasEnded(leader, killAfterMs)) return;
  send(leader, "SIGKILL");
  await hasEnded(leader, KILL_MS);
}

async function hasEnded(leader: number, withinMs: number): Promise<boolean> {
  const deadline = Date.now() + withinMs;
  // A zombie has ended: the first process of a container often does not collect its children.
  while (send(leader, 0) && !isZombie(leader)) {
    if (Date.now() > deadline) return false;
    await sleep(POLL_MS);
  }
  return true;
}

/** False when the group has no process left. */
function send(leader: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(-leader, signal);
  } catch {
    return false;
  }
}
