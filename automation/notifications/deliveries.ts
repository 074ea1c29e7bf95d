import { InfraError } from "../../core/errors.ts";
import type { Delivery } from "../../core/notification-delivery.ts";
import type { AuditLog } from "../audit/log.ts";
import type { Store } from "../store/store.ts";
import { deliveries, type DeliveryQuery, queueAgain } from "./outbox.ts";

/** Notifications that receivers have not taken, for the people who run the platform. */
export class Deliveries {
  readonly #store: Store;
  readonly #audit: Pick<AuditLog, "recordIn">;

  constructor(store: Store, { audit }: { readonly audit: Pick<AuditLog, "recordIn"> }) {
    this.#store = store;
    this.#audit = audit;
  }

  /** Newest first. */
  list(query: DeliveryQuery): Promise<Delivery[]> {
    return deliveries(this.#store, query);
  }

  /**
   * Sends a notification again, or all without an id, to the receivers for which it was given up. Returns
   * how many. Rejects with RDEV_NOT_FOUND if the notification was given up for none.
   */
  resend(actor: string, id?: string): Promise<number> {
    return this.#store.transaction(async (transaction) => {
      const resent = await queueAgain(transaction, id);
      if (resent === 0 && id !== undefined) {
        const text = `No receiver has a notification ${id} that was given up.`;
        throw new InfraError("RDEV_NOT_FOUND", text);
      }
      await this.#audit.recordIn(transaction, {
        action: "notification.resend",
        actor,
        component: "http",
        result: "success",
        details: { ...(id !== undefined && { id }), resent },
      });
      return resent;
    });
  }
}
