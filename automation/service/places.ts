import { InfraError } from "../../core/errors.ts";

/** Counts the streams that each key has open: each asks the database again and again. */
export class Places {
  readonly #max: number;
  readonly #taken = new Map<string, number>();

  constructor(max: number) {
    this.#max = max;
  }

  /** Gives the function that frees it again, for one call. Throws RDEV_RATE_LIMITED. */
  take(key: string): () => void {
    const taken = this.#taken.get(key) ?? 0;
    if (taken >= this.#max) {
      throw new InfraError(
        "RDEV_RATE_LIMITED",
        `${taken} streams are open with this key, and no more may be. End one of them first.`,
      );
    }
    this.#taken.set(key, taken + 1);
    return () => {
      const rest = (this.#taken.get(key) ?? 1) - 1;
      if (rest > 0) this.#taken.set(key, rest);
      else this.#taken.delete(key);
    };
  }
}
