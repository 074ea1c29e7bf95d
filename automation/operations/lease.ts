import { type Attempt, LostAttempt } from "./attempt.ts";

export interface LeaseOptions {
  /** After which silence the queue gives the job to another. */
  readonly seconds: number;
  /** For so long, in ms, nobody else takes the operation. */
  readonly onRenewed: (ms: number) => void;
  /** It may have been given to another: nothing of it may go on. */
  readonly onLost: () => void;
  readonly onCancelling: () => void;
}

/** Holds an attempt's operation by telling the queue that it goes on, and knows when it holds it no more. */
export class Lease {
  readonly #attempt: Attempt;
  readonly #options: LeaseOptions;
  readonly #timers: NodeJS.Timeout[];
  /** Of this machine's steady clock, in ms. */
  #until: number;
  #isLost = false;

  constructor(attempt: Attempt, options: LeaseOptions) {
    this.#attempt = attempt;
    this.#options = options;
    this.#until = performance.now();
    this.#renewed(performance.now());
    this.#timers = [
      setInterval(() => void this.#renew(), (options.seconds * 1000) / 6),
      setInterval(() => {
        if (performance.now() > this.#until) this.#lose();
      }, 500),
    ];
  }

  get isLost(): boolean {
    return this.#isLost;
  }

  /** For so long, in ms, nobody else takes the operation. */
  get remaining(): number {
    return this.#until - performance.now();
  }

  /** Looks at once whether the operation is to be stopped. */
  async look(): Promise<void> {
    if (await this.#attempt.isCancelling()) this.#options.onCancelling();
  }

  end(): void {
    for (const timer of this.#timers) clearInterval(timer);
  }

  async #renew(): Promise<void> {
    // Before the database was asked: it counts from when it hears of it.
    const asked = performance.now();
    try {
      await this.#attempt.touch();
      this.#renewed(asked);
      await this.look();
    } catch (error) {
      if (error instanceof LostAttempt) this.#lose();
      // Else the database does not answer: that may be over in time.
    }
  }

  #renewed(asked: number): void {
    if (this.#isLost) return;
    // A quarter is left for ending all of it.
    const ms = this.#options.seconds * 750;
    this.#until = asked + ms;
    this.#options.onRenewed(this.#until - performance.now());
  }

  #lose(): void {
    if (this.#isLost) return;
    this.#isLost = true;
    this.end();
    this.#options.onLost();
  }
}
