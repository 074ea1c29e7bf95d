import type { Store, StoreTransaction } from "../store/store.ts";
import { enqueue } from "./outbox.ts";
import type { AuditEvent, AuditLog } from "./port.ts";
import { append } from "./postgres-log.ts";

/**
 * Writes to PostgreSQL and to Citadel. PostgreSQL decides: in one transaction it takes the event and
 * the order to ship it, so that neither is without the other. Citadel need not be up.
 */
export class MultiWriter implements AuditLog {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  record(event: AuditEvent): Promise<void> {
    return this.#store.transaction((transaction) => this.recordIn(transaction, event));
  }

  async recordIn(transaction: StoreTransaction, event: AuditEvent): Promise<void> {
    await enqueue(transaction, await append(transaction, event));
  }
}
