import { InfraError, userMessage } from "../../core/errors.ts";
import { short } from "../../core/previews/approval.ts";
import { rolloutRequest } from "../../core/rollout.ts";
import type { AuditLog } from "../audit/log.ts";
import type { FleetTask } from "../fleet/task.ts";
import type { MergedRolloutRow } from "../store/schema.ts";
import type { Store, StoreTransaction } from "../store/store.ts";
import {
  actorOf,
  endRequest,
  expireRequests,
  insertRequest,
  type MergedCommit,
  openRequest,
} from "./merged-table.ts";
import { ACTOR } from "./records.ts";
import type { Rollouts } from "./rollouts.ts";

interface MergedRolloutsOptions {
  readonly store: Store;
  readonly platform: string;
  /** The version of the program that this service runs. */
  readonly version: string;
  readonly rollouts: Pick<Rollouts, "start">;
  readonly audit: AuditLog;
}

/**
 * Rollouts of merged commits. A service runs one version of the program, so a request waits for the
 * service of its version, which plans the rollout. The plan needs an approval like any other.
 */
export class MergedRollouts implements FleetTask {
  readonly name = "merged rollouts";
  readonly #options: MergedRolloutsOptions;

  constructor(options: MergedRolloutsOptions) {
    this.#options = options;
  }

  /** Stores the request in place of an older one, and returns what happens next. */
  async request(merged: MergedCommit): Promise<string> {
    const { id, commit, version } = merged;
    const { store, platform } = this.#options;
    await store.exclusively(`merged rollouts of ${platform}`, async (transaction) => {
      const isNew = await insertRequest(transaction, platform, merged);
      if (!isNew) return;
      await this.#record(transaction, "rollout.request", actorOf(merged), merged);
    });
    const own = this.#options.version;
    return version === own
      ? `The rollout of ${short(commit)} to ${platform}, version \`${version}\`, is being planned.`
      : `The rollout of ${short(commit)} to ${platform} waits until the service has the version ` +
          `\`${version}\` of the program. It has \`${own}\` now: install the service of this commit. A ` +
          "newer request takes the place of this one. To cancel it: " +
          `\`rdev-infra rollout requests cancel ${id}\``;
  }

  /** Ends what has waited for too long, and starts the open request if it is of this version. */
  async run(): Promise<void> {
    const { store, platform, version } = this.#options;
    await store.transaction(async (transaction) => {
      for (const row of await expireRequests(transaction, platform)) {
        await this.#record(transaction, "rollout.request.expire", ACTOR, row);
      }
    });
    const due = await openRequest(store, { platform, version });
    if (due) await this.#start(due);
  }

  /**
   * Rejects with RDEV_BUSY while another rollout has a project; the next tick tries again. Rejects with
   * RDEV_CONFLICT, and starts nothing, if the request has ended meanwhile.
   */
  async #start(row: MergedRolloutRow): Promise<void> {
    const { store, rollouts } = this.#options;
    const caller = { id: `forge:${row.by}`, actor: actorOf(row) };
    try {
      await rollouts.start(rolloutRequest.parse({}), caller, async (transaction, id) => {
        const end = { state: "planned", rollout_id: id } as const;
        if (!(await endRequest(transaction, row.id, end))) throw hasEnded(row);
      });
    } catch (error) {
      if (!(error instanceof InfraError) || error.code !== "RDEV_ROLLOUT") throw error;
      const end = { state: "refused", reason: userMessage(error) } as const;
      await store.run((db) => endRequest(db, row.id, end));
    }
  }

  /** Must be the transaction's last write, because it holds the audit log's lock until the end. */
  #record(
    transaction: StoreTransaction,
    action: string,
    actor: string,
    { id, number, commit, version }: Pick<MergedCommit, "id" | "number" | "commit" | "version">,
  ): Promise<void> {
    return this.#options.audit.recordIn(transaction, {
      action,
      actor,
      component: "rollouts",
      result: "success",
      details: { request: id, pull_request: number, commit, version },
    });
  }
}

function hasEnded({ number, commit }: MergedRolloutRow): InfraError {
  return new InfraError(
    "RDEV_CONFLICT",
    `The request to roll out ${short(commit)} (#${number}) has ended meanwhile.`,
  );
}
