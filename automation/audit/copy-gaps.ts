import type { Store } from "../store/store.ts";
import { type Part, type ShippedEvent, shippedEvents, withoutNote } from "./shipped.ts";

/** Events that Citadel lacks although it took them. */
export interface Missing {
  readonly count: number;
  /** The id of the first of them, and where and when that was shipped. */
  readonly first: number;
  readonly tenant: string;
  readonly shippedAt: Date;
}

export interface Gaps {
  readonly missing?: Missing;
  /** Events that are not there yet, and were shipped too recently to be missed. */
  readonly recent?: number;
  /** Events that are not there, and of which nobody noted whether they were shipped. */
  readonly unknown?: number;
}

/** Counts what Citadel lacks, part by part of the log, in order. */
export class GapCounter {
  readonly #store: Store;
  /** What was shipped later may not be there yet. */
  readonly #settled: Date;
  #missing = 0;
  #first: ShippedEvent | undefined;
  #recent = 0;
  #unknown = 0;

  constructor(store: Store, settled: Date) {
    this.#store = store;
    this.#settled = settled;
  }

  /** `there`: the ids that Citadel has of the part. */
  async look(part: Part, there: ReadonlySet<number>): Promise<void> {
    for (const event of await shippedEvents(this.#store, part)) {
      if (there.has(event.id)) continue;
      if (event.shippedAt > this.#settled) this.#recent += 1;
      else {
        this.#missing += 1;
        this.#first ??= event;
      }
    }
    const unnoted = await withoutNote(this.#store, part);
    this.#unknown += unnoted.filter((id) => !there.has(id)).length;
  }

  /** Without what there is none of. */
  get gaps(): Gaps {
    return {
      ...(this.#first && { missing: missing(this.#missing, this.#first) }),
      ...(this.#recent > 0 && { recent: this.#recent }),
      ...(this.#unknown > 0 && { unknown: this.#unknown }),
    };
  }
}

function missing(count: number, { id, tenant, shippedAt }: ShippedEvent): Missing {
  return { count, first: id, tenant, shippedAt };
}
