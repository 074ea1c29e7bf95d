/** The last ids of a stream without end. */
export class Seen {
  readonly #capacity: number;
  readonly #ids = new Set<string>();

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  has(id: string): boolean {
    return this.#ids.has(id);
  }

  /** True if it is new. */
  add(id: string): boolean {
    if (this.#ids.has(id)) return false;
    this.#ids.add(id);
    if (this.#ids.size > this.#capacity) {
      // A set keeps the order in which it was filled.
      for (const first of this.#ids) {
        this.#ids.delete(first);
        break;
      }
    }
    return true;
  }
}
