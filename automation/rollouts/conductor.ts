import { randomUUID } from "node:crypto";
import { userMessage } from "../../core/errors.ts";
import { OPERATION_CHANGES } from "../operations/notifier.ts";
import { Poll } from "../poll.ts";
import { repeat } from "../retry.ts";
import { Notifier } from "../store/notifier.ts";
import { type ConductorOptions, LostRollout, RENEW_MS, RolloutSteps } from "./steps.ts";
import {
  conductedRollouts,
  deleteOldRollouts,
  markRolloutsSeen,
  releaseRollouts,
  ROLLOUT_CHANGES,
} from "./tables.ts";

/** In ms: how often rollouts are looked at without a notification. */
const CONDUCT_MS = 2_000;
/** In ms: a rollout of another version is stopped once no replica of its version has lived for so long. */
const ABANDONED_MS = 60_000;
const DELETE_OLD_MS = 3_600_000;

/**
 * Carries rollouts out. Any number of replicas may share a database: each rollout has one conductor at a
 * time, and another one takes over within seconds if it is killed.
 */
export class Conductor {
  readonly #options: ConductorOptions;
  readonly #id = randomUUID();
  readonly #steps: RolloutSteps;
  readonly #notifiers;
  readonly #stopping = new AbortController();
  readonly #poll = new Poll(CONDUCT_MS, this.#stopping.signal);
  readonly #stopped = new AbortController();
  #loop: Promise<void> = Promise.resolve();
  #marking: Promise<void> = Promise.resolve();

  constructor(options: ConductorOptions) {
    this.#options = options;
    this.#steps = new RolloutSteps(options, this.#id);
    const { store } = options;
    this.#notifiers = {
      operations: new Notifier(store, OPERATION_CHANGES),
      rollouts: new Notifier(store, ROLLOUT_CHANGES),
    };
  }

  start(): void {
    const wake = ({ state }: { readonly state?: string | undefined }) => {
      if (state !== undefined) this.#poll.wake();
    };
    this.#notifiers.operations.subscribe(wake);
    this.#notifiers.rollouts.subscribe(wake);
    this.#loop = this.#run();
    this.#marking = this.#markSeen();
  }

  /** Begins no step any more, and lets other replicas conduct. Idempotent. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#loop;
    this.#stopped.abort();
    await this.#marking;
    await this.#options.store.run((db) => releaseRollouts(db, this.#id)).catch(() => undefined);
    await Promise.all(Object.values(this.#notifiers).map((notifier) => notifier.close()));
  }

  async #run(): Promise<void> {
    let deletedAt = -Infinity;
    while (!this.#stopping.signal.aborted) {
      this.#poll.begin();
      try {
        await this.#conductAll();
        if (performance.now() - deletedAt > DELETE_OLD_MS) {
          deletedAt = performance.now();
          await deleteOldRollouts(this.#options.store);
        }
      } catch (error) {
        this.#warn({ error: userMessage(error) }, "no rollouts");
      }
      await this.#poll.wait();
    }
  }

  /** Does not wait for steps, because a check may take minutes. */
  #markSeen(): Promise<void> {
    const { store, renewMs = RENEW_MS } = this.#options;
    return repeat(this.#stopped.signal, async () => {
      await store.run((db) => markRolloutsSeen(db, this.#options)).catch(() => undefined);
      return renewMs;
    });
  }

  async #conductAll(): Promise<void> {
    const { store, platform, version } = this.#options;
    for (const rollout of await store.run((db) => conductedRollouts(db, platform))) {
      if (this.#stopping.signal.aborted) return;
      const seen = rollout.conducted_until ?? rollout.created_at;
      const isOurs = rollout.version === version;
      if (!isOurs && Date.now() - seen.getTime() < ABANDONED_MS) continue;
      try {
        if (isOurs && rollout.state === "planned") {
          await this.#steps.claim(rollout.id);
          continue;
        }
        // Each step may make the next one possible.
        while (await this.#steps.next(rollout.id, isOurs))
          if (this.#stopping.signal.aborted) return;
      } catch (error) {
        if (error instanceof LostRollout) continue;
        this.#warn({ rollout: rollout.id, error: userMessage(error) }, "rollout step failed");
      }
    }
  }

  #warn(fields: object, text: string): void {
    this.#options.log.warn({ component: "rollout", ...fields }, text);
  }
}
