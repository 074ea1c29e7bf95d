import { killProcess, processes, variablesOf } from "../engine/processes.ts";
import { WORKER_MARK } from "./environment.ts";

/**
 * The processes of workers whose mark begins so: also those whose parents are gone, as the engine's
 * plugins, which run in groups of their own.
 */
export function processesMarked(mark: string): number[] {
  const prefix = `${WORKER_MARK}=${mark}`;
  return processes().filter(
    (pid) =>
      pid !== process.pid && variablesOf(pid).some((variable) => variable.startsWith(prefix)),
  );
}

/** Ends them at once, and those that they start meanwhile. */
export function killMarked(mark: string): void {
  for (let round = 0; round < 5; round++) {
    const found = processesMarked(mark);
    if (found.length === 0) return;
    for (const pid of found) killProcess(pid);
  }
}
