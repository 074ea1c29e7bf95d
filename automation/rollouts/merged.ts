import { InfraError, userMessage } from "../../core/errors.ts";
import { short } from "../../core/previews/approval.ts";
import { rolloutRequest } from "../../core/rollout.ts";
import type { AuditLog } from "../audit/log.ts";
import type { FleetTask } from "../fleet/task.ts";
import type { Store } from "../store/store.ts";
import type { Rollouts } from "./rollouts.ts";

/** In ms. An older request is not done: a service of that version may come back long after a newer one. */
const MAX_AGE = 7 * 24 * 60 * 60_000;

/** A pull request that was merged, and who asks to roll it out. */
export interface MergedCommit {
  /** The id of the request. A repeated request has the same id, and is stored once. */
  readonly id: string;
  readonly number: number;
  /** The full SHA of the commit in the target branch. */
  readonly commit: string;
  /** The version of the program at that commit. */
  readonly version: string;
  /** The account on the forge. */
  readonly by: string;
}

interface MergedRolloutsOptions {
  readonly store: Store;
  readonly platform: string;
  /** The version of the program that this service runs. */
  readonly version: string;
  readonly rollouts: Pick<Rollouts, "start">;
  readonly audit: AuditLog;
  /** Comments on a pull request. */
  readonly comment: (number: number, text: string) => Promise<unknown>;
  readonly log: { warn(fields: object, text: string): void };
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
  async request({ id, number, commit, version, by }: MergedCommit): Promise<string> {
    const { store, platform, audit } = this.#options;
    await store.exclusively(`merged rollouts of ${platform}`, async (transaction) => {
      const known = await transaction
        .selectFrom("merged_rollouts")
        .select("id")
        .where("id", "=", id)
        .executeTakeFirst();
      if (known) return;
      await transaction
        .updateTable("merged_rollouts")
        .set({ ended_at: new Date() })
        .where("platform", "=", platform)
        .where("ended_at", "is", null)
        .execute();
      await transaction
        .insertInto("merged_rollouts")
        .values({ id, platform, number, commit, version, by })
        .execute();
      await audit.recordIn(transaction, {
        action: "rollout.request",
        actor: `user:${by}`,
        component: "rollouts",
        result: "success",
        details: { pull_request: number, commit, version },
      });
    });
    const own = this.#options.version;
    return version === own
      ? `The rollout of ${short(commit)} to ${platform}, version \`${version}\`, is being planned.`
      : `The rollout of ${short(commit)} to ${platform} waits until the service has the version ` +
          `\`${version}\` of the program. It has \`${own}\` now: install the service of this commit. A ` +
          "newer request takes the place of this one.";
  }

  /** Starts the open request, if it is due. A platform has one at most. */
  async run(): Promise<void> {
    const { store, platform, version } = this.#options;
    const due = await store.run((db) =>
      db
        .selectFrom("merged_rollouts")
        .selectAll()
        .where("platform", "=", platform)
        .where("version", "=", version)
        .where("ended_at", "is", null)
        .where("created_at", ">", new Date(Date.now() - MAX_AGE))
        .executeTakeFirst(),
    );
    if (due) await this.#start(due);
  }

  /**
   * Rejects with RDEV_BUSY while another rollout has a project; the next tick tries again. Rejects with
   * RDEV_CONFLICT, and starts nothing, if a newer request took its place meanwhile.
   */
  async #start(row: MergedCommit): Promise<void> {
    const { store, rollouts } = this.#options;
    const end = { ended_at: new Date() };
    let text: string;
    try {
      const caller = { id: `forge:${row.by}`, actor: `user:${row.by}` };
      const { id } = await rollouts.start(
        rolloutRequest.parse({}),
        caller,
        async (transaction, rollout) => {
          const { numUpdatedRows } = await transaction
            .updateTable("merged_rollouts")
            .set({ ...end, rollout_id: rollout })
            .where("id", "=", row.id)
            .where("ended_at", "is", null)
            .executeTakeFirst();
          if (numUpdatedRows === 0n) throw superseded(row);
        },
      );
      text = planned(id, row);
    } catch (error) {
      if (!(error instanceof InfraError) || error.code !== "RDEV_ROLLOUT") throw error;
      await store.run((db) =>
        db.updateTable("merged_rollouts").set(end).where("id", "=", row.id).execute(),
      );
      text = `No rollout of ${short(row.commit)}: ${userMessage(error)}`;
    }
    await this.#comment(row.number, text);
  }

  /** A rollout that was started is in the list of rollouts, also if the forge cannot be reached now. */
  async #comment(number: number, text: string): Promise<void> {
    const { comment, log } = this.#options;
    await comment(number, text).catch((error: unknown) => {
      const fields = { component: "rollouts", pull_request: number };
      log.warn(fields, `the comment could not be posted: ${userMessage(error)}`);
    });
  }
}

function superseded({ number, commit }: MergedCommit): InfraError {
  return new InfraError(
    "RDEV_CONFLICT",
    `The request to roll out ${short(commit)} (#${number}) has ended: a newer one took its place.`,
  );
}

function planned(id: string, { commit, version }: MergedCommit): string {
  return [
    `The rollout of ${short(commit)}, version \`${version}\`, is planned. Look at its plan, and approve it:`,
    "",
    "```sh",
    `rdev-infra rollout approve ${id}`,
    "```",
  ].join("\n");
}
