import { type Kysely, sql } from "kysely";
import { z } from "zod";
import { operationState, type OperationState } from "../../core/operation.ts";
import type { Listener } from "../store/listener.ts";
import type { Schema } from "../store/schema.ts";
import type { Store } from "../store/store.ts";

const CHANNEL = "rdev_operations";

const operationChange = z.object({ id: z.uuid(), state: operationState.optional() });

/** An operation has a new event. `state` is set if the event changed the state. */
type OperationChange = z.output<typeof operationChange>;

/** Notifies all replicas once the transaction is committed. */
export async function notify(
  db: Kysely<Schema>,
  id: string,
  state?: OperationState,
): Promise<void> {
  await sql`SELECT pg_notify(${CHANNEL}, ${JSON.stringify({ id, state })})`.execute(db);
}

/** Reports changes of operations. A notification can get lost, so subscribers must poll as well. */
export class OperationNotifier {
  readonly #store: Store;
  readonly #subscribers = new Set<(change: OperationChange) => void>();
  #listener: Listener | undefined;

  constructor(store: Store) {
    this.#store = store;
  }

  /** Returns the function that ends the subscription. */
  subscribe(onChange: (change: OperationChange) => void): () => void {
    this.#listener ??= this.#store.listen(CHANNEL, (text) => {
      const change = parseChange(text);
      if (change) for (const subscriber of [...this.#subscribers]) subscriber(change);
    });
    this.#subscribers.add(onChange);
    return () => this.#subscribers.delete(onChange);
  }

  async close(): Promise<void> {
    await this.#listener?.close();
  }
}

/** Undefined for a malformed payload: every role that can connect to the database can notify. */
function parseChange(text: string): OperationChange | undefined {
  try {
    return operationChange.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}
