import { InfraError } from "../../core/errors.ts";
import type { Delivery } from "./delivery.ts";

/**
 * Tells an event that Citadel will never take from a Citadel, or a proxy before it, that refuses all.
 * A refusal is believed beside an event that was taken at the same time, or since the first refusal.
 * Until then the event is put off, with its project, and nothing is kept aside.
 */
export class Doubts {
  /** Deliveries of which something was taken. */
  #taken = 0;
  /** By the id of a row that was refused: `#taken` as it was then. */
  readonly #since = new Map<number, number>();

  judge(delivery: Delivery): Delivery {
    const { shipped, refused, failed } = delivery;
    if (shipped.length > 0) this.#taken += 1;
    for (const { id } of shipped) this.#since.delete(id);
    const believed = refused.filter(({ row }) => this.#isSure(row.id, shipped.length > 0));
    const heads = new Map<string | null, (typeof refused)[number]>();
    for (const refusal of refused) {
      const { row } = refusal;
      if (believed.includes(refusal)) this.#since.delete(row.id);
      else {
        if (!this.#since.has(row.id)) this.#since.set(row.id, this.#taken);
        if (!heads.has(row.project_id)) heads.set(row.project_id, refusal);
      }
    }
    const putOff = [...heads.values()].map(({ row, reason }) => ({
      row,
      error: new InfraError("RDEV_REFUSED", `Citadel took none of the events: ${reason}`),
    }));
    return { ...delivery, refused: believed, failed: [...failed, ...putOff] };
  }

  #isSure(id: number, othersTaken: boolean): boolean {
    return othersTaken || (this.#since.get(id) ?? this.#taken) < this.#taken;
  }
}
