import { randomUUIDv7 } from "node:crypto";
import { InfraError } from "../../core/errors.ts";
import type {
  NumberedRolloutEvent,
  Rollout,
  RolloutReport,
  RolloutRequest,
  RolloutStack,
  RolloutState,
} from "../../core/rollout.ts";
import { isRolloutOpen } from "../../core/rollout.ts";
import { DEFAULT_TEMPLATE } from "../../core/settings.ts";
import type { AuditLog } from "../audit/log.ts";
import { followEvents } from "../store/follow-events.ts";
import { Notifier } from "../store/notifier.ts";
import { ProjectRecords } from "../store/project-records.ts";
import { jsonText, type RolloutRow } from "../store/schema.ts";
import type { Store, StoreTransaction } from "../store/store.ts";
import { reportOf } from "./report.ts";
import {
  addEvents,
  changeProjects,
  changeRollout,
  countProjects,
  insertRollout,
  lockedRollout,
  projectsInRollouts,
  readEvents,
  ROLLOUT_CHANGES,
  rolloutOf,
  rolloutStackOf,
} from "./tables.ts";
import { inOtherRollouts, requireSelected } from "./refusals.ts";
import { planWaves, selectSlugs } from "./waves.ts";

/** Far more projects than a platform has. */
const MAX_PROJECTS = 100_000;

/** The caller who starts, approves or stops a rollout. */
export interface RolloutCaller {
  /** Unique among callers of all kinds. */
  readonly id: string;
  readonly actor: string;
}

interface RolloutsOptions {
  readonly platform: string;
  /** The version of the program that the service runs. */
  readonly version: string;
  readonly audit: AuditLog;
  /** Whether the one who started a rollout may also approve it. Default: true. */
  readonly ownApproval?: boolean | undefined;
}

interface RolloutPage {
  /** 1 to 1000. */
  readonly limit: number;
  /** Only rollouts older than the one with this id. */
  readonly before?: string | undefined;
  readonly state?: RolloutState | undefined;
}

/** Starts, shows, approves and stops rollouts. Any number of processes may share a database. */
export class Rollouts {
  readonly #store: Store;
  readonly #options: RolloutsOptions;
  readonly #notifier;
  readonly #projects: ProjectRecords;

  constructor(store: Store, options: RolloutsOptions) {
    this.#store = store;
    this.#options = options;
    this.#notifier = new Notifier(store, ROLLOUT_CHANGES);
    this.#projects = new ProjectRecords(store);
  }

  /**
   * Selects the projects and begins to preview them. Rejects with RDEV_ROLLOUT if it selects none, if a
   * pattern matches no project, if a canary is not among them, or if it asks for a rollback; and with
   * RDEV_BUSY, which names every project that another rollout has. `also` writes in the same transaction.
   */
  async start(
    request: RolloutRequest,
    caller: RolloutCaller,
    also?: (transaction: StoreTransaction, id: string) => Promise<void>,
  ): Promise<Rollout> {
    if (request.onFailure === "rollback") {
      throw new InfraError(
        "RDEV_ROLLOUT",
        "A failed project cannot be rolled back to the version before, because the service has only " +
          'this version of the program. Leave it with "onFailure": "leave", and mend it with the next ' +
          "rollout.",
      );
    }
    const { platform, version } = this.#options;
    const records = await this.#projects.list({ limit: MAX_PROJECTS });
    const candidates = records
      .filter((record) => record.platform === platform)
      .map(({ slug, status, settings, programVersion }) => ({
        slug,
        status,
        template: settings.template ?? DEFAULT_TEMPLATE,
        labels: settings.labels ?? {},
        outdated: programVersion !== version,
      }));
    const slugs = selectSlugs(request.select, candidates);
    requireSelected(request, slugs, candidates);
    return this.#store.exclusively(`rollouts of ${platform}`, async (transaction) => {
      const others = await projectsInRollouts(transaction, platform, slugs);
      if (others.length > 0) throw inOtherRollouts(others);
      const waves = planWaves(slugs, request);
      const row = await insertRollout(
        transaction,
        {
          id: randomUUIDv7(),
          platform,
          version,
          request: jsonText(request),
          state: "planning",
          actor: caller.actor,
          actor_id: caller.id,
        },
        waves,
      );
      await also?.(transaction, row.id);
      const started = await this.#view(transaction, row);
      await this.#record(transaction, "start", row, caller, { version, request, projects: slugs });
      return started;
    });
  }

  async find(id: string): Promise<Rollout | undefined> {
    return this.#store.run(async (db) => {
      const row = await db
        .selectFrom("rollouts")
        .selectAll()
        .where("id", "=", id)
        .executeTakeFirst();
      return row && rolloutOf(row, (await countProjects(db, [id])).get(id)!);
    });
  }

  /** Newest first. */
  async list({ limit, before, state }: RolloutPage): Promise<Rollout[]> {
    return this.#store.run(async (db) => {
      let query = db.selectFrom("rollouts").selectAll().orderBy("id", "desc").limit(limit);
      if (before !== undefined) query = query.where("id", "<", before);
      if (state !== undefined) query = query.where("state", "=", state);
      const rows = await query.execute();
      const counted = await countProjects(
        db,
        rows.map(({ id }) => id),
      );
      return rows.map((row) => rolloutOf(row, counted.get(row.id)!));
    });
  }

  /** The projects by wave and slug. */
  async projects(id: string): Promise<RolloutStack[]> {
    const rows = await this.#store.run((db) =>
      db
        .selectFrom("rollout_projects")
        .select(["slug", "wave", "state", "reason", "fingerprint", "loses_data"])
        .select(["preview", "operation"])
        .where("rollout_id", "=", id)
        .orderBy("wave")
        .orderBy("slug")
        .execute(),
    );
    return rows.map(rolloutStackOf);
  }

  /** Its plan, grouped, and its results once it has ended. */
  async report({ id, platform, state }: Rollout): Promise<RolloutReport> {
    const rows = await this.#store.run((db) =>
      db.selectFrom("rollout_projects").selectAll().where("rollout_id", "=", id).execute(),
    );
    return reportOf(rows, platform, isRolloutOpen(state) ? "plan" : "result");
  }

  /** The events after number `after`; 0 returns them from the first. */
  events(id: string, after: number, limit: number): Promise<NumberedRolloutEvent[]> {
    return this.#store.run((db) => readEvents(db, id, after, limit));
  }

  /**
   * Yields events as they are written, up to the rollout's last one. Ends early if the signal is aborted.
   * Rejects with RDEV_NOT_FOUND.
   */
  follow(id: string, after: number, signal: AbortSignal): AsyncGenerator<NumberedRolloutEvent> {
    return followEvents({
      after,
      signal,
      notifier: this.#notifier,
      id,
      hasEnded: async () => {
        const found = await this.find(id);
        if (!found) throw notFound(id);
        return !isRolloutOpen(found.state);
      },
      events: (last, limit) => this.events(id, last, limit),
    });
  }

  /**
   * Lets the first wave begin. Projects whose plan loses data are held back unless that is approved as
   * well. Rejects with RDEV_PLAN if the rollout's plan is another one, with RDEV_ROLLOUT if it does not
   * wait for an approval, with RDEV_ROLE if it is the caller's own and the platform forbids that, and
   * with RDEV_NOT_FOUND.
   */
  approve(
    id: string,
    { plan, dataLoss }: { readonly plan: string; readonly dataLoss: boolean },
    caller: RolloutCaller,
  ): Promise<Rollout> {
    return this.#change(id, async (transaction, row) => {
      const { ownApproval = true } = this.#options;
      if (!ownApproval && isStarter(row, caller)) {
        throw new InfraError(
          "RDEV_ROLE",
          "This platform does not let the one who started a rollout approve it. Ask another approver or admin.",
        );
      }
      requireState(row, ["planned"], "approved");
      this.#requireVersion(row);
      if (row.plan !== plan) {
        throw new InfraError(
          "RDEV_PLAN",
          `The plan of rollout ${id} is ${row.plan}, not "${plan}". Look at its report again.`,
        );
      }
      const losing = dataLoss ? [] : await losingProjects(transaction, id);
      const message = "Its plan loses data, and that was not approved.";
      await changeProjects(
        transaction,
        id,
        losing.map((slug) => ({
          slug,
          state: "held" as const,
          reason: jsonText({ code: "data-loss", message }),
        })),
      );
      const changed = await changeRollout(transaction, row, {
        state: "running",
        wave: 1,
        approved_by: caller.actor,
        approved_at: new Date(),
        data_loss_approved: dataLoss,
      });
      await addEvents(transaction, id, [{ event: "wave", wave: 1, state: "begun" }]);
      const view = await this.#view(transaction, changed);
      await this.#record(transaction, "approve", row, caller, { plan, dataLoss, held: losing });
      return view;
    });
  }

  /** Begins nothing new. Operations that run go on. Rejects with RDEV_ROLLOUT and RDEV_NOT_FOUND. */
  pause(id: string, caller: RolloutCaller): Promise<Rollout> {
    return this.#change(id, async (transaction, row) => {
      requireState(row, ["running"], "paused");
      const reason = `paused by ${caller.actor}`;
      const changed = await changeRollout(transaction, row, { state: "paused", reason });
      const view = await this.#view(transaction, changed);
      await this.#record(transaction, "pause", row, caller);
      return view;
    });
  }

  /** Goes on where it was paused. Rejects with RDEV_ROLLOUT and RDEV_NOT_FOUND. */
  resume(id: string, caller: RolloutCaller): Promise<Rollout> {
    return this.#change(id, async (transaction, row) => {
      requireState(row, ["paused"], "resumed");
      this.#requireVersion(row);
      const changed = await changeRollout(transaction, row, { state: "running", reason: null });
      const view = await this.#view(transaction, changed);
      await this.#record(transaction, "resume", row, caller);
      return view;
    });
  }

  /**
   * Begins nothing new, and cancels the operations that wait or run. A rollout that has ended stays as it
   * is. Rejects with RDEV_NOT_FOUND.
   */
  cancel(id: string, caller: RolloutCaller): Promise<Rollout> {
    return this.#change(id, async (transaction, row) => {
      if (!isRolloutOpen(row.state) || row.state === "cancelling") {
        return this.#view(transaction, row);
      }
      const reason = `cancelled by ${caller.actor}`;
      const changed = await changeRollout(transaction, row, { state: "cancelling", reason });
      const view = await this.#view(transaction, changed);
      await this.#record(transaction, "cancel", row, caller);
      return view;
    });
  }

  async close(): Promise<void> {
    await this.#notifier.close();
  }

  #change(
    id: string,
    work: (transaction: StoreTransaction, row: RolloutRow) => Promise<Rollout>,
  ): Promise<Rollout> {
    return this.#store.transaction(async (transaction) => {
      const row = await lockedRollout(transaction, id);
      if (!row) throw notFound(id);
      return work(transaction, row);
    });
  }

  async #view(transaction: StoreTransaction, row: RolloutRow): Promise<Rollout> {
    return rolloutOf(row, (await countProjects(transaction, [row.id])).get(row.id)!);
  }

  /** Throws RDEV_ROLLOUT: the plan is one of another version of the program. */
  #requireVersion({ version }: RolloutRow): void {
    if (version === this.#options.version) return;
    throw new InfraError(
      "RDEV_ROLLOUT",
      `The rollout brings version ${version} of the program, and the service now has ` +
        `${this.#options.version}. Cancel it, and start a new one.`,
    );
  }

  /** Must be the transaction's last write, because it holds the audit log's lock until the end. */
  #record(
    transaction: StoreTransaction,
    action: "start" | "approve" | "pause" | "resume" | "cancel",
    { id }: RolloutRow,
    { actor }: RolloutCaller,
    details: Record<string, unknown> = {},
  ): Promise<void> {
    return this.#options.audit.recordIn(transaction, {
      action: `rollout.${action}`,
      actor,
      component: "http",
      result: "success",
      details: { rollout: id, ...details },
    });
  }
}

async function losingProjects(transaction: StoreTransaction, id: string): Promise<string[]> {
  const rows = await transaction
    .selectFrom("rollout_projects")
    .select("slug")
    .where("rollout_id", "=", id)
    .where("state", "=", "planned")
    .where("loses_data", "=", true)
    .orderBy("slug")
    .execute();
  return rows.map(({ slug }) => slug);
}

function requireState(
  { id, state }: RolloutRow,
  allowed: readonly RolloutState[],
  what: string,
): void {
  if (allowed.includes(state)) return;
  throw new InfraError(
    "RDEV_ROLLOUT",
    `Rollout ${id} is ${state}. Only one that is ${allowed.join(" or ")} can be ${what}.`,
  );
}

/**
 * Whether the caller started the rollout. A comment on a pull request tells only the account's name, in any
 * case, such as `user:Alice` for `user:alice (7)`. Names of callers that signed in are not compared with
 * each other, because people can choose them.
 */
function isStarter({ actor_id: id, actor }: RolloutRow, caller: RolloutCaller): boolean {
  if (id === caller.id || actor === caller.actor) return true;
  return (
    id.startsWith("forge:") && caller.actor.toLowerCase().startsWith(`${actor.toLowerCase()} (`)
  );
}

function notFound(id: string): InfraError {
  return new InfraError("RDEV_NOT_FOUND", `There is no rollout ${id}.`);
}
