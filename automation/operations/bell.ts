import { type Kysely, sql } from "kysely";
import type { Listener } from "../store/listener.ts";
import type { Schema } from "../store/schema.ts";
import type { Store } from "../store/store.ts";

const CHANNEL = "rdev_operations";

/** Tells all replicas, once this transaction is committed, that something of an operation is new. */
export async function ring(db: Kysely<Schema>, id: string): Promise<void> {
  await sql`SELECT pg_notify(${CHANNEL}, ${id})`.execute(db);
}

/** Wakes those who wait for news of an operation. It may miss some: whoever waits looks again by itself. */
export class Bell {
  readonly #store: Store;
  readonly #waiting = new Set<(id: string) => void>();
  #listener: Listener | undefined;

  constructor(store: Store) {
    this.#store = store;
  }

  /** Calls back at any news. Answers with what ends that. */
  onRing(hear: (id: string) => void): () => void {
    this.#listener ??= this.#store.listen(CHANNEL, (id) => {
      for (const each of [...this.#waiting]) each(id);
    });
    this.#waiting.add(hear);
    return () => this.#waiting.delete(hear);
  }

  async close(): Promise<void> {
    await this.#listener?.close();
  }
}
