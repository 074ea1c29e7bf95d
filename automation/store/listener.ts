import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";

const RECONNECT_MS = 1_000;

/** Hears what is notified on a channel of PostgreSQL's. Some may be missed: who listens polls as well. */
export class Listener {
  readonly #url: string;
  readonly #channel: string;
  readonly #hear: (payload: string) => void;
  readonly #stop = new AbortController();
  readonly #ended: Promise<void>;

  constructor(url: string, channel: string, hear: (payload: string) => void) {
    this.#url = url;
    this.#channel = channel;
    this.#hear = hear;
    this.#ended = this.#run();
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#ended;
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      await this.#listen().catch(() => undefined);
      await sleep(RECONNECT_MS, undefined, { signal: this.#stop.signal, ref: false }).catch(
        () => undefined,
      );
    }
  }

  /** Until the connection ends, or this is closed. */
  async #listen(): Promise<void> {
    const client = new pg.Client({
      connectionString: this.#url,
      application_name: "rdev-infra listener",
      connectionTimeoutMillis: 10_000,
      keepAlive: true,
    });
    const ended = new Promise<void>((resolve) => {
      client.once("end", resolve).on("error", () => resolve());
      this.#stop.signal.addEventListener("abort", () => resolve(), { once: true });
    });
    client.on("notification", ({ payload }) => {
      try {
        this.#hear(payload ?? "");
      } catch {
        // Nothing that is notified may end this process: who listens polls as well.
      }
    });
    try {
      await client.connect();
      await client.query(`LISTEN ${pg.escapeIdentifier(this.#channel)}`);
      await ended;
    } finally {
      await client.end().catch(() => undefined);
    }
  }
}
