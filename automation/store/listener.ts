import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";

const RECONNECT_MS = 1_000;

/**
 * Receives the notifications of a PostgreSQL channel. Notifications are lost while the connection is
 * down, so callers must poll as well. The reconnect loop is not p-retry's: it also runs after a
 * connection that worked.
 */
export class Listener {
  readonly #url: string;
  readonly #channel: string;
  readonly #onNotification: (payload: string) => void;
  readonly #closing = new AbortController();
  readonly #done: Promise<void>;

  constructor(url: string, channel: string, onNotification: (payload: string) => void) {
    this.#url = url;
    this.#channel = channel;
    this.#onNotification = onNotification;
    this.#done = this.#run();
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#done;
  }

  async #run(): Promise<void> {
    while (!this.#closing.signal.aborted) {
      await this.#listen().catch(() => undefined);
      await sleep(RECONNECT_MS, undefined, { signal: this.#closing.signal, ref: false }).catch(
        () => undefined,
      );
    }
  }

  /** Resolves when the connection ends or the listener is closed. */
  async #listen(): Promise<void> {
    const client = new pg.Client({
      connectionString: this.#url,
      application_name: "rdev-infra listener",
      connectionTimeoutMillis: 10_000,
      keepAlive: true,
    });
    const ended = new Promise<void>((resolve) => {
      client.once("end", resolve).on("error", () => resolve());
      this.#closing.signal.addEventListener("abort", () => resolve(), { once: true });
    });
    client.on("notification", ({ payload }) => {
      try {
        this.#onNotification(payload ?? "");
      } catch {
        // A malformed notification must not end the process. The caller polls as well.
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
