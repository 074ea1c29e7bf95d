import { setTimeout as sleep } from "node:timers/promises";

/**
 * The waits of a loop that looks for work when it is woken, and at least every `ms`, because a
 * notification can get lost. A wake-up while the loop works is not lost.
 */
export class Poll {
  readonly #ms: number;
  readonly #signal: AbortSignal;
  #woken = new AbortController();

  constructor(ms: number, signal: AbortSignal) {
    this.#ms = ms;
    this.#signal = signal;
  }

  /** There may be work. */
  wake(): void {
    this.#woken.abort();
  }

  /** Must be called before the loop looks for work. */
  begin(): void {
    this.#woken = new AbortController();
  }

  /** Resolves when the loop was woken after `begin`, when the signal is aborted, or after `ms`. */
  async wait(): Promise<void> {
    const signal = AbortSignal.any([this.#signal, this.#woken.signal]);
    await sleep(this.#ms, undefined, { signal }).catch(() => undefined);
  }
}
