import { type Kysely, sql } from "kysely";
import { z } from "zod";
import type { Listener } from "../store/listener.ts";
import type { Schema } from "../store/schema.ts";
import type { Store } from "../store/store.ts";
import { OPERATION_STATES, type OperationState } from "../../core/operation.ts";

const CHANNEL = "rdev_operations";

const news = z.object({ id: z.uuid(), state: z.enum(OPERATION_STATES).optional() });

/** Something of an operation is new: an event, and with it maybe its state. */
export type News = z.output<typeof news>;

/** Undefined for what is no news: whoever may connect to the database may notify. */
function parseNews(text: string): News | undefined {
  try {
    return news.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

/** Tells all replicas, once this transaction is committed. */
export async function ring(db: Kysely<Schema>, id: string, state?: OperationState): Promise<void> {
  await sql`SELECT pg_notify(${CHANNEL}, ${JSON.stringify({ id, state })})`.execute(db);
}

/** Wakes those who wait for news. It may miss some: whoever waits looks again by itself. */
export class Bell {
  readonly #store: Store;
  readonly #waiting = new Set<(news: News) => void>();
  #listener: Listener | undefined;

  constructor(store: Store) {
    this.#store = store;
  }

  /** Calls back at any news. Answers with what ends that. */
  onNews(hear: (news: News) => void): () => void {
    this.#listener ??= this.#store.listen(CHANNEL, (text) => {
      const heard = parseNews(text);
      if (heard) for (const each of [...this.#waiting]) each(heard);
    });
    this.#waiting.add(hear);
    return () => this.#waiting.delete(hear);
  }

  async close(): Promise<void> {
    await this.#listener?.close();
  }
}
