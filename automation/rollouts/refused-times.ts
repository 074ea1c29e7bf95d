/** In ms: longer than a conductor is busy with the check of another rollout. */
const BREAK_MS = 10 * 60_000;

interface Refused {
  readonly since: number;
  readonly last: number;
}

/**
 * Since when submissions are refused again and again. After a break, such as a pause of the rollout, the
 * time begins anew.
 */
export class RefusedTimes {
  readonly #now: () => number;
  readonly #refused = new Map<string, Refused>();

  /** `now` is in ms. */
  constructor(now = () => performance.now()) {
    this.#now = now;
  }

  /** Records a refusal. Returns the ms since the first one; undefined if this is the first one. */
  add(key: string): number | undefined {
    const now = this.#now();
    for (const [other, { last }] of this.#refused) {
      if (now - last > BREAK_MS) this.#refused.delete(other);
    }
    const since = this.#refused.get(key)?.since;
    this.#refused.set(key, { since: since ?? now, last: now });
    return since === undefined ? undefined : now - since;
  }

  /** Forgets a submission that was taken, or that is not repeated. */
  delete(key: string): void {
    this.#refused.delete(key);
  }
}
