import { randomUUIDv7 } from "node:crypto";
import { dueTime } from "../../core/cron.ts";
import { type DriftRun, type DriftSettings, FIX_POLICIES, isPermitted } from "../../core/drift.ts";
import { InfraError } from "../../core/errors.ts";
import { type FleetTask, type FleetTaskOptions, isBusyOrGone } from "../fleet/task.ts";
import { announce, MAX_NAMED } from "../notifications/outbox.ts";
import type { Submission } from "../operations/submission.ts";
import {
  DriftRecords,
  endRun,
  insertRun,
  lastScheduled,
  progressOf,
  recordFix,
  unfixed,
} from "./table.ts";

/** The actor of what the schedule and the policy do. Names of keys contain no colon. */
const ACTOR = "rdev-infra:drift";

interface DriftRunsOptions extends FleetTaskOptions<DriftSettings> {
  readonly now?: () => Date;
}

/**
 * Looks at all projects when the schedule says so, and fixes what the policy permits. Everything is in the
 * database, so any replica continues what another began.
 */
export class DriftRuns implements FleetTask {
  readonly name = "drift";
  readonly #options: Required<DriftRunsOptions>;
  readonly #records: DriftRecords;
  readonly #since: Date;

  constructor(options: DriftRunsOptions) {
    this.#options = { now: () => new Date(), ...options };
    this.#records = new DriftRecords(options.store);
    this.#since = this.#options.now();
  }

  /** Begins a look at all projects for a person. Rejects with RDEV_BUSY if one is under way. */
  async start(actor: string): Promise<DriftRun> {
    const run = await this.#insert(actor, undefined);
    if (run) return run;
    throw new InfraError(
      "RDEV_BUSY",
      "A look at all projects is under way. GET /v1/drift/runs shows how far it is.",
    );
  }

  async run(): Promise<void> {
    const settings = await this.#options.settings();
    await this.#beginIfDue(settings);
    const run = await this.#records.openRun(this.#options.platform);
    if (run) await this.#continue(run, settings);
    else await this.#fix(settings);
  }

  async #beginIfDue({ schedule, timezone }: DriftSettings): Promise<void> {
    if (schedule === undefined) return;
    const { store, platform, now } = this.#options;
    const last = await lastScheduled(store, platform);
    const due = dueTime({ schedule, timezone }, now(), last, this.#since);
    if (!due) return;
    // What the last one did not reach by now, the new one looks at first.
    const open = await this.#records.openRun(platform);
    if (open) await this.#end(open);
    await this.#insert(ACTOR, due);
  }

  async #insert(actor: string, scheduledAt: Date | undefined): Promise<DriftRun | undefined> {
    const { store, platform } = this.#options;
    const id = randomUUIDv7();
    const isNew = await store.transaction((transaction) =>
      insertRun(transaction, { id, platform, actor, scheduledAt }),
    );
    return isNew ? this.#records.openRun(platform) : undefined;
  }

  async #continue(run: DriftRun, { atOnce }: DriftSettings): Promise<void> {
    const { store, platform } = this.#options;
    const { next, left, open } = await progressOf(store, { id: run.id, platform });
    if (left === 0) return this.#end(run);
    for (const slug of next.slice(0, Math.max(0, atOnce - open))) {
      const look = { kind: "preview", of: "up", settings: {}, drift: { run: run.id } } as const;
      await this.#submit(slug, look);
    }
  }

  /** Ends the run, and tells of everything that it found in one notification. */
  async #end({ id }: DriftRun): Promise<void> {
    const { store, platform } = this.#options;
    const query = { platform, run: id, limit: MAX_NAMED };
    const [drifted, failed, [run]] = await Promise.all([
      this.#records.list({ ...query, states: ["drifted"] }),
      this.#records.list({ ...query, states: ["failed"] }),
      this.#records.runs(platform, 1),
    ]);
    await store.transaction(async (transaction) => {
      if (!(await endRun(transaction, id)) || drifted.length + failed.length === 0) return;
      await announce(transaction, {
        kind: "drift.found",
        checked: run?.done ?? 0,
        differing: drifted.map(({ slug, since = "", changes }) => ({
          slug,
          since,
          resources: changes.length,
        })),
        failed: failed.map(({ slug, error }) => ({ slug, message: error?.message ?? "" })),
      });
    });
  }

  /** After the notification, so that it names what is fixed, too. Each look leads to one attempt. */
  async #fix({ fix, atOnce }: DriftSettings): Promise<void> {
    if (fix === "nothing") return;
    const { store, platform } = this.#options;
    const permitted = FIX_POLICIES.filter((needed) => isPermitted(fix, needed));
    for (const slug of await unfixed(store, { platform, permitted, atOnce })) {
      await this.#submit(
        slug,
        { kind: "up", settings: {}, onFailure: "keep", fix },
        (transaction, id) => recordFix(transaction, slug, id),
      );
    }
  }

  async #submit(
    slug: string,
    request: Submission["request"],
    alongside?: Submission["alongside"],
  ): Promise<void> {
    const { operations, platform } = this.#options;
    try {
      await operations.submit({
        platform,
        slug,
        request,
        actor: ACTOR,
        ifBusy: "refuse",
        ...(alongside && { alongside }),
      });
    } catch (error) {
      if (!isBusyOrGone(error)) throw error;
    }
  }
}
