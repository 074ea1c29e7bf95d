import { InfraError } from "../../core/errors.ts";
import type { MergedRollout } from "../../core/merged-rollout.ts";
import type { AuditLog } from "../audit/log.ts";
import type { Store } from "../store/store.ts";
import {
  endRequest,
  listRequests,
  lockedRequest,
  type MergedRolloutQuery,
  mergedRolloutOf,
} from "./merged-table.ts";

/** Requests to roll out a merged pull request, for the people who run the platform. */
export class MergedRequests {
  readonly #store: Store;
  readonly #audit: Pick<AuditLog, "recordIn">;

  constructor(store: Store, { audit }: { readonly audit: Pick<AuditLog, "recordIn"> }) {
    this.#store = store;
    this.#audit = audit;
  }

  /** Newest first. */
  list(query: MergedRolloutQuery): Promise<MergedRollout[]> {
    return listRequests(this.#store, query);
  }

  /**
   * Ends a request that waits. One that ended without a rollout stays as it is. Rejects with RDEV_ROLLOUT
   * if its rollout is planned already, and with RDEV_NOT_FOUND.
   */
  cancel(id: string, actor: string): Promise<MergedRollout> {
    return this.#store.transaction(async (transaction) => {
      const row = await lockedRequest(transaction, id);
      if (!row) throw new InfraError("RDEV_NOT_FOUND", `There is no request for a rollout ${id}.`);
      const { number, commit, rollout_id: rollout } = row;
      if (row.state === "planned") {
        throw new InfraError(
          "RDEV_ROLLOUT",
          `The request ${id} is planned already. Cancel its rollout ${rollout ?? ""}.`,
        );
      }
      const reason = `Cancelled by ${actor}.`;
      const ended = await endRequest(transaction, id, { state: "cancelled", reason });
      if (!ended) return mergedRolloutOf(row);
      await this.#audit.recordIn(transaction, {
        action: "rollout.request.cancel",
        actor,
        component: "http",
        result: "success",
        details: { request: id, pull_request: number, commit },
      });
      return mergedRolloutOf(ended);
    });
  }
}
