import { userMessage } from "../../core/errors.ts";
import type { NumberedEvent, OperationEvent } from "../../core/operation.ts";
import { isTransient } from "../store/errors.ts";
import { LostAttempt } from "./attempt.ts";

const FLUSH_MS = 250;
/** Per attempt. A project's stack produces a few hundred. */
const MAX_EVENTS = 5_000;
const MAX_MESSAGE = 8_000;

type Entry = Omit<NumberedEvent, "number">;

/** Writes an attempt's events in order, in batches. */
export class EventLog {
  readonly #write: (events: readonly Entry[]) => Promise<void>;
  readonly #timer: NodeJS.Timeout;
  #pending: Entry[] = [];
  #count = 0;
  #writing: Promise<void> = Promise.resolve();

  constructor(write: (events: readonly Entry[]) => Promise<void>) {
    this.#write = write;
    // Events that cannot be written now are written with the next batch.
    this.#timer = setInterval(() => void this.flush().catch(() => undefined), FLUSH_MS);
  }

  add(event: OperationEvent): void {
    this.#count++;
    if (this.#count > MAX_EVENTS) return;
    const kept = this.#count < MAX_EVENTS ? truncated(event) : TOO_MANY;
    this.#pending.push({ at: new Date(), event: kept });
  }

  /** Resolves once every added event is written, or replaced because the database refused it for good. */
  flush(): Promise<void> {
    this.#writing = this.#writing
      .catch(() => undefined)
      .then(async () => {
        const events = this.#pending;
        if (events.length === 0) return;
        this.#pending = [];
        try {
          await this.#write(events);
        } catch (error) {
          if (error instanceof LostAttempt || isTransient(error)) {
            this.#pending = [...events, ...this.#pending];
            throw error;
          }
          await this.#write([{ at: new Date(), event: notRecorded(events.length, error) }]);
        }
      });
    return this.#writing;
  }

  /** Stops the timer. Events that are still pending are dropped. */
  end(): void {
    clearInterval(this.#timer);
  }
}

const TOO_MANY: OperationEvent = {
  event: "diagnostic",
  severity: "warning",
  message: `The operation has more than ${MAX_EVENTS} events: the rest is left out.`,
};

function notRecorded(count: number, error: unknown): OperationEvent {
  const message = `${count} events could not be recorded. ${userMessage(error)}`;
  return { event: "diagnostic", severity: "warning", message };
}

function truncated(event: OperationEvent): OperationEvent {
  if (event.event !== "diagnostic" || event.message.length <= MAX_MESSAGE) return event;
  return { ...event, message: `${event.message.slice(0, MAX_MESSAGE)} …` };
}
