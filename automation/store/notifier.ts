import { type Kysely, sql } from "kysely";
import type { z } from "zod";
import type { Listener } from "./listener.ts";
import type { Schema } from "./schema.ts";
import type { Store } from "./store.ts";

/** A channel between all replicas, with the form of its messages. */
export interface Channel<T> {
  /** Only lower-case letters and underscores. */
  readonly name: string;
  readonly message: z.ZodType<T>;
}

/** Sends the message to all replicas once the transaction is committed. At most 8,000 bytes of JSON. */
export async function notifyReplicas<T>(
  db: Kysely<Schema>,
  { name }: Channel<T>,
  message: T,
): Promise<void> {
  await sql`SELECT pg_notify(${name}, ${JSON.stringify(message)})`.execute(db);
}

/** Receives the messages of a channel. One can get lost, so subscribers must poll as well. */
export class Notifier<T> {
  readonly #store: Store;
  readonly #channel: Channel<T>;
  readonly #subscribers = new Set<(message: T) => void>();
  #listener: Listener | undefined;

  constructor(store: Store, channel: Channel<T>) {
    this.#store = store;
    this.#channel = channel;
  }

  /** Returns the function that ends the subscription. */
  subscribe(onMessage: (message: T) => void): () => void {
    this.#listener ??= this.#store.listen(this.#channel.name, (text) => {
      const message = this.#parse(text);
      if (message) for (const subscriber of [...this.#subscribers]) subscriber(message);
    });
    this.#subscribers.add(onMessage);
    return () => this.#subscribers.delete(onMessage);
  }

  async close(): Promise<void> {
    await this.#listener?.close();
  }

  /** Undefined for a malformed payload: every role that can connect to the database can notify. */
  #parse(text: string): T | undefined {
    try {
      return this.#channel.message.safeParse(JSON.parse(text)).data;
    } catch {
      return undefined;
    }
  }
}
