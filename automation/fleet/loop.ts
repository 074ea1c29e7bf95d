import { setTimeout as sleep } from "node:timers/promises";
import { userMessage } from "../../core/errors.ts";
import type { Store } from "../store/store.ts";
import type { FleetTask } from "./task.ts";

/** In ms: how often the loop looks for what is due. */
const TICK_MS = 10_000;

interface LoopOptions {
  readonly store: Store;
  readonly tasks: readonly FleetTask[];
  readonly log: { warn(fields: object, text: string): void };
  /** In ms. Default: TICK_MS. */
  readonly tickMs?: number;
}

/**
 * Calls the tasks again and again until the signal is aborted. One replica at a time does so. A task that
 * fails is called again at the next tick, and stops no other.
 */
export async function runFleet(
  { store, tasks, log, tickMs = TICK_MS }: LoopOptions,
  signal: AbortSignal,
): Promise<void> {
  const reported = new Map<string, string>();
  while (!signal.aborted) {
    const failures = new Map<string, string>();
    await tick(store, tasks, (name, error) => failures.set(name, userMessage(error)));
    for (const [task, error] of failures) {
      // A cause that lasts, such as a platform that is not up yet, is logged once.
      if (reported.get(task) === error) continue;
      log.warn({ component: "fleet", task, error }, "not done; tried again");
    }
    for (const { name } of tasks) reported.set(name, failures.get(name) ?? "");
    await sleep(tickMs, undefined, { signal }).catch(() => undefined);
  }
}

/** Calls each task once, unless another replica is calling them. */
export async function tick(
  store: Store,
  tasks: readonly FleetTask[],
  onError: (name: string, error: unknown) => void,
): Promise<void> {
  try {
    await store.unlessRunning("fleet", async () => {
      for (const task of tasks) {
        await task.run().catch((error: unknown) => onError(task.name, error));
      }
    });
  } catch (error) {
    onError("lock", error);
  }
}
