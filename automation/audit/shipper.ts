import { asInfraError, type InfraError, userMessage } from "../../core/errors.ts";
import type { Citadel } from "../../providers/citadel/port.ts";
import { backoff, repeat } from "../retry.ts";
import type { Store, StoreTransaction } from "../store/store.ts";
import { deliver, type Delivery, PoisonDetector } from "./delivery.ts";
import {
  type Destination,
  dueRows,
  markRefused,
  markShipped,
  MAX_WAIT,
  postpone,
  tryShipperLock,
} from "./outbox.ts";

/** Events in one call; the same as in Citadel's own client. */
const BATCH = 100;
/** In ms: how often the outbox is read. */
const POLL = 1_000;
/** In ms; the same as in Citadel's own client. */
const DEADLINE = 10_000;
/** In ms. */
const FIRST_BACKOFF = 500;
const LONGEST_BACKOFF = 60_000;
const BACKOFF = { first: FIRST_BACKOFF, longest: LONGEST_BACKOFF, max: MAX_WAIT };

export interface ShipperOptions {
  readonly store: Store;
  readonly citadel: Pick<Citadel, "ingest">;
  /** Looks up the tenant that the events go to. Called until it succeeds; then the id is cached. */
  readonly tenant: () => Promise<string>;
  /** The platform, for example `staging`: the `environment` field of each event. */
  readonly platform: string;
  /** Called for each failure, with the time in ms until the next attempt. */
  readonly onFailure?: (error: InfraError, wait: number) => void;
  /** In ms. Default: 1 s. */
  readonly poll?: number;
  /** For one call, in ms. Default: 10 s. */
  readonly deadline?: number;
}

/** The result of one batch. */
interface Shipped {
  /** `busy`: another shipper is active. `idle`: no event is due. */
  readonly state: "shipped" | "failed" | "busy" | "idle";
  readonly shipped: number;
  readonly refused: number;
  /** Projects whose events were postponed, while those of other projects are shipped. */
  readonly postponed: number;
  /** In ms, until the next attempt. */
  readonly wait: number;
}

/**
 * Ships the outbox to Citadel: at least once, and each project's events in order. The transaction that
 * removes an event from the outbox commits after Citadel has taken it, so a shipper that is killed in
 * between sends the event again with the same id. Any number of shippers may run; one is active.
 */
export class CitadelShipper {
  readonly #options: ShipperOptions;
  readonly #poison = new PoisonDetector();
  #tenant: string | undefined;
  #consecutiveFailures = 0;

  constructor(options: ShipperOptions) {
    this.#options = options;
  }

  /** Ships until the signal aborts, and finishes the current batch. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    await repeat(signal, async () => (await this.ship()).wait);
  }

  /** Ships until no event is due, or a batch fails. Never rejects. */
  async drain(): Promise<Omit<Shipped, "wait">> {
    const sum = { shipped: 0, refused: 0, postponed: 0 };
    for (;;) {
      const { state, shipped, refused, postponed } = await this.ship();
      sum.shipped += shipped;
      sum.refused += refused;
      sum.postponed += postponed;
      if (state === "shipped") continue;
      return { state: state === "idle" && sum.postponed > 0 ? "failed" : state, ...sum };
    }
  }

  /** Ships one batch. Never rejects. */
  async ship(): Promise<Shipped> {
    try {
      const result = await this.#options.store.transaction((transaction) =>
        this.#batch(transaction),
      );
      if (result.state === "shipped") this.#consecutiveFailures = 0;
      return result;
    } catch (error) {
      const wait = this.#failed(asInfraError(error));
      return { state: "failed", shipped: 0, refused: 0, postponed: 0, wait };
    }
  }

  async #batch(transaction: StoreTransaction): Promise<Shipped> {
    const { poll = POLL, deadline = DEADLINE, citadel, platform } = this.#options;
    const nothing = { shipped: 0, refused: 0, postponed: 0, wait: poll };
    if (!(await tryShipperLock(transaction))) return { state: "busy", ...nothing };
    const rows = await dueRows(transaction, BATCH);
    const [oldest] = rows;
    if (!oldest) return { state: "idle", ...nothing };
    this.#tenant ??= await this.#options.tenant();

    const to = { citadel, platform, tenant: this.#tenant, deadline };
    const delivery = this.#poison.confirm(await deliver(to, rows));
    await this.#settle(transaction, delivery, to);
    const { shipped, refused, failed } = delivery;
    const counts = { shipped: shipped.length, refused: refused.length, postponed: failed.length };
    if (!delivery.outage) return { state: "shipped", ...counts, wait: 0 };
    const wait = this.#failed(delivery.outage);
    // The tenant may have been deleted and created again, with another id.
    if (delivery.outage.code === "RDEV_TENANT") this.#tenant = undefined;
    const firstUnsettled = rows.find((row) => !isSettled(delivery, row.id)) ?? oldest;
    await postpone(transaction, firstUnsettled.id, wait, userMessage(delivery.outage));
    return { state: "failed", ...counts, wait };
  }

  async #settle(transaction: StoreTransaction, delivery: Delivery, to: Destination): Promise<void> {
    await markShipped(transaction, delivery.shipped, to);
    for (const { row, reason } of delivery.refused) await markRefused(transaction, row.id, reason);
    for (const { row, error } of delivery.failed) {
      const wait = backoff(BACKOFF, row.attempts + 1, error.retryAfter);
      this.#options.onFailure?.(error, wait);
      await postpone(transaction, row.id, wait, userMessage(error));
    }
  }

  #failed(error: InfraError): number {
    this.#consecutiveFailures += 1;
    const wait = backoff(BACKOFF, this.#consecutiveFailures, error.retryAfter);
    this.#options.onFailure?.(error, wait);
    return wait;
  }
}

function isSettled({ shipped, refused }: Delivery, id: number): boolean {
  return shipped.some((row) => row.id === id) || refused.some(({ row }) => row.id === id);
}
