import { type Attempt, LostAttempt } from "./attempt.ts";

interface LeaseOptions {
  /** The queue gives the job to another runner after this time without a renewal. */
  readonly seconds: number;
  /** Called with the time in ms during which no other runner takes the operation. */
  readonly onRenewed: (ms: number) => void;
  /** Another runner may have the operation: everything that works on it must stop. */
  readonly onLost: () => void;
  readonly onCancelling: () => void;
}

/** The lease is renewed so many times in the queue's time. */
const RENEWALS = 6;
/** The lease ends after this part of the queue's time: the rest is for ending all processes. */
const LEASE_PART = 0.75;
const EXPIRY_CHECK_MS = 500;

/** Keeps the ownership of an attempt's operation by renewals, and reports when it is lost. */
export class Lease {
  readonly #attempt: Attempt;
  readonly #options: LeaseOptions;
  readonly #timers: NodeJS.Timeout[];
  /** On the monotonic clock, in ms. */
  #expiresAt: number;
  #isLost = false;

  constructor(attempt: Attempt, options: LeaseOptions) {
    this.#attempt = attempt;
    this.#options = options;
    this.#expiresAt = performance.now();
    this.#extend(performance.now());
    this.#timers = [
      setInterval(() => void this.#renew(), (options.seconds * 1000) / RENEWALS),
      setInterval(() => {
        if (performance.now() > this.#expiresAt) this.#lose();
      }, EXPIRY_CHECK_MS),
    ];
  }

  get isLost(): boolean {
    return this.#isLost;
  }

  /** In ms: how long no other runner takes the operation. */
  get remaining(): number {
    return this.#expiresAt - performance.now();
  }

  /** Checks at once whether the operation was cancelled. */
  async checkCancelled(): Promise<void> {
    if (await this.#attempt.isCancelling()) this.#options.onCancelling();
  }

  end(): void {
    for (const timer of this.#timers) clearInterval(timer);
  }

  async #renew(): Promise<void> {
    // Taken before the query, because the database counts from a later moment.
    const sentAt = performance.now();
    try {
      await this.#attempt.touch();
      this.#extend(sentAt);
      await this.checkCancelled();
    } catch (error) {
      if (error instanceof LostAttempt) this.#lose();
      // Any other error means that the database does not answer: the next renewal may succeed in time.
    }
  }

  #extend(from: number): void {
    if (this.#isLost) return;
    this.#expiresAt = from + this.#options.seconds * 1000 * LEASE_PART;
    this.#options.onRenewed(this.#expiresAt - performance.now());
  }

  #lose(): void {
    if (this.#isLost) return;
    this.#isLost = true;
    this.end();
    this.#options.onLost();
  }
}
