import { setTimeout as sleep } from "node:timers/promises";
import { asInfraError, type InfraError, userMessage } from "../../core/errors.ts";
import type { Citadel } from "../../providers/citadel/port.ts";
import type { Store, StoreTransaction } from "../store/store.ts";
import { backoff } from "./backoff.ts";
import { deliver, type Delivery } from "./delivery.ts";
import { Doubts } from "./doubts.ts";
import { becomeShipper, due, postpone, remove, setAside } from "./outbox.ts";
import { noteShipped, type ShippedTo } from "./shipped.ts";

/** As many as Citadel's own client sends at once. */
const BATCH = 100;
/** In ms: how soon a new event is seen. */
const POLL = 1_000;
/** In ms, as Citadel's own client has. */
const DEADLINE = 10_000;

export interface ShipperOptions {
  readonly store: Store;
  readonly citadel: Pick<Citadel, "ingest">;
  /** The tenant that the events go to. Asked until it answers; then kept. */
  readonly tenant: () => Promise<string>;
  /** `staging`: the events' `environment`. */
  readonly platform: string;
  /** Told of every failure, and in how many ms it is tried again. */
  readonly onFailure?: (error: InfraError, wait: number) => void;
  /** In ms. Default: 1 s. */
  readonly poll?: number;
  /** For one call, in ms. Default: 10 s. */
  readonly deadline?: number;
}

/** How one attempt went. */
export interface Shipped {
  /** `busy`: somebody else ships. `idle`: nothing is due. */
  readonly state: "shipped" | "failed" | "busy" | "idle";
  readonly shipped: number;
  readonly refused: number;
  /** Projects whose events are tried again later, while those of others go on. */
  readonly putOff: number;
  /** In ms, until another attempt makes sense. */
  readonly wait: number;
}

/**
 * Ships the outbox to Citadel: at least once, each project's events in order. An event leaves the
 * outbox only after Citadel has taken it, and that is noted; who is killed in between sends it again, with its id.
 * Any number may run: one ships at a time.
 */
export class CitadelShipper {
  readonly #options: ShipperOptions;
  readonly #doubts = new Doubts();
  #tenant: string | undefined;
  /** One after another. */
  #failures = 0;

  constructor(options: ShipperOptions) {
    this.#options = options;
  }

  /** Ships until told to stop; a batch that is under way is finished. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const { wait } = await this.ship();
      await sleep(wait, undefined, { signal }).catch(() => undefined);
    }
  }

  /** Ships until nothing is due, or nothing can be shipped. Never rejects. */
  async drain(): Promise<Omit<Shipped, "wait">> {
    const sum = { shipped: 0, refused: 0, putOff: 0 };
    for (;;) {
      const { state, shipped, refused, putOff } = await this.ship();
      sum.shipped += shipped;
      sum.refused += refused;
      sum.putOff += putOff;
      if (state === "shipped") continue;
      return { state: state === "idle" && sum.putOff > 0 ? "failed" : state, ...sum };
    }
  }

  /** Ships one batch. Never rejects. */
  async ship(): Promise<Shipped> {
    try {
      const done = await this.#options.store.transaction((transaction) => this.#batch(transaction));
      if (done.state === "shipped") this.#failures = 0;
      return done;
    } catch (error) {
      const wait = this.#failed(asInfraError(error));
      return { state: "failed", shipped: 0, refused: 0, putOff: 0, wait };
    }
  }

  async #batch(transaction: StoreTransaction): Promise<Shipped> {
    const { poll = POLL, deadline = DEADLINE, citadel, platform } = this.#options;
    const nothing = { shipped: 0, refused: 0, putOff: 0, wait: poll };
    if (!(await becomeShipper(transaction))) return { state: "busy", ...nothing };
    const rows = await due(transaction, BATCH);
    const [oldest] = rows;
    if (!oldest) return { state: "idle", ...nothing };
    this.#tenant ??= await this.#options.tenant();

    const to = { citadel, platform, tenant: this.#tenant, deadline };
    const delivery = this.#doubts.judge(await deliver(to, rows));
    await this.#settle(transaction, delivery, to);
    const { shipped, refused, failed } = delivery;
    const counts = { shipped: shipped.length, refused: refused.length, putOff: failed.length };
    if (!delivery.outage) return { state: "shipped", ...counts, wait: 0 };
    const wait = this.#failed(delivery.outage);
    if (delivery.outage.code === "RDEV_TENANT") this.#tenant = undefined; // made anew, perhaps
    const head = rows.find((row) => !isDealtWith(delivery, row.id)) ?? oldest;
    await postpone(transaction, head.id, wait, userMessage(delivery.outage));
    return { state: "failed", ...counts, wait };
  }

  async #settle(transaction: StoreTransaction, delivery: Delivery, to: ShippedTo): Promise<void> {
    await noteShipped(transaction, delivery.shipped, to);
    await remove(
      transaction,
      delivery.shipped.map(({ id }) => id),
    );
    for (const { row, reason } of delivery.refused) await setAside(transaction, row.id, reason);
    for (const { row, error } of delivery.failed) {
      const wait = backoff(row.attempts + 1, error.retryAfter);
      this.#options.onFailure?.(error, wait);
      await postpone(transaction, row.id, wait, userMessage(error));
    }
  }

  #failed(error: InfraError): number {
    this.#failures += 1;
    const wait = backoff(this.#failures, error.retryAfter);
    this.#options.onFailure?.(error, wait);
    return wait;
  }
}

function isDealtWith({ shipped, refused }: Delivery, id: number): boolean {
  return shipped.some((row) => row.id === id) || refused.some(({ row }) => row.id === id);
}
