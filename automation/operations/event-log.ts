import { userMessage } from "../../core/errors.ts";
import type { NumberedEvent, OperationEvent } from "../../core/operation.ts";
import { isTransient } from "../store/errors.ts";
import { LostAttempt } from "./attempt.ts";

const FLUSH_MS = 250;
/** Of one attempt. A project's stack gives some hundred. */
const MAX_EVENTS = 5_000;
const MAX_MESSAGE = 8_000;

type Entry = Omit<NumberedEvent, "number">;

/** Writes an attempt's events as they come, many at once, in order. */
export class EventLog {
  readonly #write: (events: readonly Entry[]) => Promise<void>;
  readonly #timer: NodeJS.Timeout;
  #waiting: Entry[] = [];
  #count = 0;
  #writing: Promise<void> = Promise.resolve();

  constructor(write: (events: readonly Entry[]) => Promise<void>) {
    this.#write = write;
    // What cannot be written now is written with the next ones.
    this.#timer = setInterval(() => void this.flush().catch(() => undefined), FLUSH_MS);
  }

  add(event: OperationEvent): void {
    this.#count++;
    if (this.#count > MAX_EVENTS) return;
    const told = this.#count < MAX_EVENTS ? bounded(event) : TOO_MANY;
    this.#waiting.push({ at: new Date(), event: told });
  }

  /** Resolves when all that was added is written, or was refused for good. */
  flush(): Promise<void> {
    this.#writing = this.#writing
      .catch(() => undefined)
      .then(async () => {
        const events = this.#waiting;
        if (events.length === 0) return;
        this.#waiting = [];
        try {
          await this.#write(events);
        } catch (error) {
          if (error instanceof LostAttempt || isTransient(error)) {
            this.#waiting = [...events, ...this.#waiting];
            throw error;
          }
          await this.#write([{ at: new Date(), event: left(events.length, error) }]);
        }
      });
    return this.#writing;
  }

  /** No more are written. */
  end(): void {
    clearInterval(this.#timer);
  }
}

const TOO_MANY: OperationEvent = {
  event: "diagnostic",
  severity: "warning",
  message: `There are more than ${MAX_EVENTS} events: the rest is left out.`,
};

function left(count: number, error: unknown): OperationEvent {
  const message = `Events that could not be recorded: ${count}. ${userMessage(error)}`;
  return { event: "diagnostic", severity: "warning", message };
}

function bounded(event: OperationEvent): OperationEvent {
  if (event.event !== "diagnostic" || event.message.length <= MAX_MESSAGE) return event;
  return { ...event, message: `${event.message.slice(0, MAX_MESSAGE)} …` };
}
