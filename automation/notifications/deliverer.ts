import { asInfraError, type InfraError } from "../../core/errors.ts";
import { backoff, repeat } from "../retry.ts";
import type { Store } from "../store/store.ts";
import { mailEvent } from "./mail.ts";
import {
  assign,
  claim,
  type ClaimedEvent,
  giveUp,
  giveUpForgotten,
  markDelivered,
  postpone,
} from "./outbox.ts";
import { notTaken, type Receiver } from "./receivers.ts";
import { postEvent } from "./webhook.ts";

/** In ms: how often the outbox is looked at. */
const POLL = 1_000;
/** In ms, for one call of a receiver. */
const DEADLINE = 10_000;
/**
 * In ms. An event belongs to the process that sends it for this long; then another one sends it again.
 * An e-mail takes several steps, each with the deadline.
 */
const LEASE = 120_000;
/** In ms, between the attempts at one event. */
const BACKOFF = { first: 1_000, longest: 30 * 60_000, max: 60 * 60_000 };
/** In ms: an event that a receiver did not take for this long is not sent to it again. */
const GIVE_UP = 3 * 24 * 60 * 60_000;
/** An older event that is sent again, or that no service sent for so long, has this many attempts. */
const MIN_ATTEMPTS = 10;

export interface DelivererOptions {
  readonly store: Store;
  readonly platform: string;
  readonly receivers: readonly Receiver[];
  /** Called for each failure. `wait` is the time in ms until the next attempt; undefined: none follows. */
  readonly onFailure?: (error: InfraError, wait: number | undefined) => void;
  /** In ms. Default: 1 s. */
  readonly poll?: number;
  /** In ms. Default: 10 s. */
  readonly deadline?: number;
  /** In ms. Default: 2 min. */
  readonly lease?: number;
  /** In ms. Default: from 1 s to 30 min. */
  readonly backoff?: typeof BACKOFF;
}

/**
 * Sends events to their receivers: at least once, and the events of one subject in order. Receivers do
 * not wait for each other. Any number of processes may send: one claims each event. If it dies before
 * it records the result, another one sends the event again with the same id.
 */
export class Deliverer {
  readonly #options: DelivererOptions;

  constructor(options: DelivererOptions) {
    this.#options = options;
  }

  /** Sends until the signal aborts, and finishes the calls that have begun. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const { receivers } = this.#options;
    await Promise.all([
      repeat(signal, () => this.#assign()),
      ...receivers.map((receiver) => repeat(signal, () => this.#next(receiver))),
    ]);
  }

  async #assign(): Promise<number> {
    const { store, receivers, poll = POLL } = this.#options;
    try {
      await assign(store, receivers);
      await giveUpForgotten(store, receivers, GIVE_UP);
    } catch (error) {
      this.#failed(error, poll);
    }
    return poll;
  }

  /** Sends the next event of a receiver. Returns the wait until the one after it, in ms. */
  async #next(receiver: Receiver): Promise<number> {
    const { store, poll = POLL, lease = LEASE } = this.#options;
    try {
      const event = await claim(store, receiver.name, lease);
      if (!event) return poll;
      await this.#send(receiver, event);
      return 0;
    } catch (error) {
      this.#failed(error, poll);
      return poll;
    }
  }

  async #send(receiver: Receiver, event: ClaimedEvent): Promise<void> {
    const { store } = this.#options;
    let failure: InfraError;
    try {
      if ((await this.#call(receiver, event)) === "taken") return await markDelivered(store, event);
      await this.#giveUp(event, `${receiver.name} answered 410, so it is not sent again.`);
      return;
    } catch (error) {
      failure = asInfraError(error);
    }
    if (event.attempts >= MIN_ATTEMPTS && Date.now() - event.at.getTime() > GIVE_UP) {
      return this.#giveUp(event, `${failure.message} It is given up after 3 days.`);
    }
    const wait = backoff(this.#options.backoff ?? BACKOFF, event.attempts, failure.retryAfter);
    this.#failed(failure, wait);
    await postpone(store, event, wait, failure.message);
  }

  /** An e-mail that only some recipients get is not repeated, because the others would get it again. */
  async #call(receiver: Receiver, event: ClaimedEvent): Promise<"taken" | "gone"> {
    const { platform, deadline = DEADLINE } = this.#options;
    const options = { platform, deadline };
    if ("url" in receiver) return postEvent(receiver, event, options);
    const refused = await mailEvent(receiver, event, options);
    if (refused > 0) {
      const { name, to } = receiver;
      const text = `${name}: the mail server refused ${refused} of ${to.length} recipients.`;
      this.#options.onFailure?.(notTaken(text), undefined);
    }
    return "taken";
  }

  async #giveUp(event: ClaimedEvent, reason: string): Promise<void> {
    await giveUp(this.#options.store, event, reason);
    this.#options.onFailure?.(notTaken(reason), undefined);
  }

  #failed(error: unknown, wait: number): void {
    this.#options.onFailure?.(asInfraError(error), wait);
  }
}
