import { hash } from "node:crypto";
import { asInfraError, type InfraError, isTemporary, userMessage } from "../../core/errors.ts";
import type { OperationRequest } from "../../core/operation.ts";
import { isRolloutOpen, type RolloutReason } from "../../core/rollout.ts";
import type { AuditLog } from "../audit/log.ts";
import type { RunnerLog } from "../operations/execution.ts";
import type { Operations } from "../operations/operations.ts";
import { isTransient } from "../store/errors.ts";
import { jsonText, type RolloutRow } from "../store/schema.ts";
import type { Store, StoreTransaction } from "../store/store.ts";
import { type CheckProject, checkProject, failedChecks } from "./checks.ts";
import {
  afterWave,
  type Ended,
  endedProjects,
  isUnderWay,
  type Known,
  nextStep,
  overdue,
  type RolloutEnd,
} from "./decide.ts";
import {
  ACTOR,
  recordEnd,
  recordEnds,
  recordNextWave,
  recordPlan,
  recordWaveEnd,
} from "./records.ts";
import { previewOfEnd } from "./report.ts";
import { RefusedTimes } from "./refused-times.ts";
import { addEvents, changeProjects, changeRollout, claimRollout, lockedRollout } from "./tables.ts";

/** In s: another replica conducts a rollout if its conductor is silent for so long. */
const CONDUCTOR_S = 20;
/**
 * In ms: how often a conductor renews its claim during a step, such as the check of a large wave, and marks
 * the other rollouts of its version as seen.
 */
export const RENEW_MS = 5_000;
/** In ms: how long a check is repeated before it counts as failed, or the rollout pauses. */
const CHECK_GRACE_MS = 60_000;
/** In ms: how long a submission that is refused is repeated before its project counts as failed. */
const SUBMIT_GRACE_MS = 60_000;

export interface ConductorOptions {
  readonly store: Store;
  readonly operations: Pick<Operations, "submit" | "find" | "cancel">;
  readonly audit: AuditLog;
  readonly platform: string;
  /** The version of the program that this service runs. */
  readonly version: string;
  readonly log: RunnerLog;
  /** Default: asks Kubernetes and Citadel. */
  readonly check?: CheckProject;
  /** In ms. Default: CHECK_GRACE_MS. */
  readonly checkGrace?: number;
  /** In ms. Default: SUBMIT_GRACE_MS. */
  readonly submitGrace?: number;
  /** In ms. Default: RENEW_MS. */
  readonly renewMs?: number;
}

/** Another replica conducts the rollout now. */
export class LostRollout extends Error {}

/**
 * The steps of rollouts. Each can be repeated: operations are submitted under an Idempotency-Key of the
 * rollout and the project, and what a step found is written in one transaction.
 */
export class RolloutSteps {
  readonly #options: Required<ConductorOptions>;
  readonly #id: string;
  /** By the Idempotency-Key of each submission. */
  readonly #refused = new RefusedTimes();

  /** `id` is the conductor's. */
  constructor(options: ConductorOptions, id: string) {
    this.#options = {
      check: checkProject,
      checkGrace: CHECK_GRACE_MS,
      submitGrace: SUBMIT_GRACE_MS,
      renewMs: RENEW_MS,
      ...options,
    };
    this.#id = id;
  }

  /** Makes this replica the conductor. Undefined if another one is, or if the rollout has ended. */
  claim(id: string): Promise<RolloutRow | undefined> {
    return this.#options.store.run((db) => claimRollout(db, id, this.#id, CONDUCTOR_S));
  }

  /** Does what can be done now. Returns whether there is more to do at once. */
  async next(id: string, isOurs: boolean): Promise<boolean> {
    const rollout = await this.claim(id);
    if (!rollout) return false;
    const renewing = setInterval(
      () => void this.claim(id).catch(() => undefined),
      this.#options.renewMs,
    );
    try {
      return await this.#step(rollout, isOurs);
    } finally {
      clearInterval(renewing);
    }
  }

  async #step(rollout: RolloutRow, isOurs: boolean): Promise<boolean> {
    const { audit, version } = this.#options;
    const { id } = rollout;
    const known = await this.#known(id);
    const deadlineMs = rollout.request.deadlineMinutes * 60_000;
    const ended = endedProjects(known, deadlineMs);
    if (ended.length > 0) {
      await this.#write(rollout, (transaction) => recordEnds(transaction, audit, rollout, ended));
      return true;
    }
    await this.#cancelOperations(rollout, known, deadlineMs);
    // Nothing of another version begins, but it may be cancelled like one of this version.
    const next =
      isOurs || rollout.state === "cancelling"
        ? nextStep(rollout, known, Date.now())
        : known.some(isUnderWay)
          ? ({ next: "wait" } as const)
          : ({
              next: "end",
              state: "stopped",
              reason:
                `the service has version ${version} now, and no replica has version ` +
                `${rollout.version} any more`,
            } as const);
    switch (next.next) {
      case "wait":
        return false;
      case "begin":
        return this.#begin(rollout, next.slugs);
      case "check":
        return this.#check(rollout, known, next.slugs);
      case "planned":
        await this.#write(rollout, (transaction) => recordPlan(transaction, rollout));
        return false;
      case "end-wave":
        await this.#write(rollout, (transaction) => recordWaveEnd(transaction, rollout));
        return true;
      case "pause":
        await this.#write(rollout, (transaction) =>
          recordWaveEnd(transaction, rollout, { state: "paused", reason: next.reason }),
        );
        return false;
      case "end":
        await this.#write(rollout, (transaction) => this.#end(transaction, rollout, next));
        return false;
    }
  }

  async #known(id: string): Promise<Known[]> {
    const { store, operations } = this.#options;
    const rows = await store.run((db) =>
      db
        .selectFrom("rollout_projects")
        .select(["slug", "wave", "state", "preview", "operation"])
        .where("rollout_id", "=", id)
        .orderBy("wave")
        .orderBy("slug")
        .execute(),
    );
    return Promise.all(
      rows.map(async (row) => {
        const own = row.state === "planning" ? row.preview : row.operation;
        const needsIt = isUnderWay({ row, operation: undefined });
        const operation = needsIt && own !== null ? await operations.find(own) : undefined;
        return { row, operation };
      }),
    );
  }

  /** Not in the name of who started the rollout: somebody else may have cancelled it, or nobody. */
  async #cancelOperations(
    { state }: RolloutRow,
    known: readonly Known[],
    deadlineMs: number,
  ): Promise<void> {
    const open = known.flatMap(({ operation }) => operation ?? []);
    const wanted = state === "cancelling" ? open : overdue(known, deadlineMs, Date.now());
    for (const { id, state: has } of wanted) {
      if (has === "queued" || has === "running") await this.#options.operations.cancel(id, ACTOR);
    }
  }

  /** Submits operations. Returns whether projects need none any more, so others may begin. */
  async #begin(rollout: RolloutRow, slugs: readonly string[]): Promise<boolean> {
    let hasEnded = false;
    for (const slug of slugs) {
      const key = submissionKey(rollout, slug);
      try {
        await this.#submit(rollout, slug, key);
      } catch (error) {
        // Another conductor, or a database that is away or not migrated, says nothing about the project.
        if (error instanceof LostRollout || isTransient(error)) throw error;
        const refusal = asInfraError(error);
        if (refusal.code === "RDEV_STORE") throw error;
        const ended = this.#notSubmitted(rollout, slug, key, refusal);
        if (!ended) continue;
        await this.#write(rollout, (transaction) =>
          recordEnds(transaction, this.#options.audit, rollout, [ended]),
        );
        hasEnded = true;
      }
      this.#refused.delete(key);
    }
    return hasEnded;
  }

  /** How a project ends whose submission was refused. Undefined while it is to be repeated. */
  #notSubmitted(
    { id, state }: RolloutRow,
    slug: string,
    key: string,
    { code, message }: InfraError,
  ): Ended | undefined {
    // Too many operations of the project wait already: later there is room.
    if (code === "RDEV_BUSY") return undefined;
    if (code === "RDEV_CONFLICT" || code === "RDEV_NOT_FOUND") {
      return { slug, state: "skipped", reason: { code: "deleted", message } };
    }
    const refusedFor = this.#refused.add(key);
    if (refusedFor !== undefined && refusedFor >= this.#options.submitGrace) {
      return state === "planning"
        ? { slug, state: "held", reason: { code: "plan-failed", message } }
        : { slug, state: "failed", reason: { code: "failed", message } };
    }
    const fields = { component: "rollout", rollout: id, slug, error: message };
    this.#options.log.warn(fields, "project not submitted");
    return undefined;
  }

  /**
   * Submits the operation of a project and records it in the same transaction, so none runs that the
   * rollout does not know. A repeated submission finds the operation of the first one.
   */
  async #submit(rollout: RolloutRow, slug: string, key: string): Promise<void> {
    const { store, operations } = this.#options;
    const { id, platform, version, actor, data_loss_approved: dataLoss } = rollout;
    const isPlanning = rollout.state === "planning";
    const project = await store.run((db) =>
      db
        .selectFrom("rollout_projects")
        .select("fingerprint")
        .where("rollout_id", "=", id)
        .where("slug", "=", slug)
        .executeTakeFirstOrThrow(),
    );
    const fingerprint = project.fingerprint ?? "";
    const request: OperationRequest = isPlanning
      ? { kind: "preview", of: "up", settings: {}, rollout: id }
      : {
          kind: "up",
          settings: {},
          onFailure: "keep",
          approved: { rollout: id, version, fingerprint, dataLoss },
        };
    const record = async (transaction: StoreTransaction, operation: string) => {
      await this.#requireOurs(transaction, rollout);
      const begun = isPlanning
        ? { state: "planning" as const, preview: operation }
        : { state: "running" as const, operation };
      await changeProjects(transaction, id, [{ slug, ...begun }]);
    };
    const { operation, replayed } = await operations.submit({
      platform,
      slug,
      request,
      actor,
      ifBusy: "wait",
      idempotency: { key, fingerprint: hash("sha256", key) },
      alongside: record,
    });
    if (replayed) await store.transaction((transaction) => record(transaction, operation.id));
  }

  /** Checks the projects of a wave that has ended, and begins the next wave if all is well. */
  async #check(
    rollout: RolloutRow,
    known: readonly Known[],
    slugs: readonly string[],
  ): Promise<boolean> {
    const graceEnd =
      (rollout.wave_ended_at?.getTime() ?? 0) +
      rollout.request.pauseSeconds * 1_000 +
      this.#options.checkGrace;
    const isLate = Date.now() > graceEnd;
    let failures: Map<string, RolloutReason>;
    try {
      failures = await failedChecks(this.#options, rollout, slugs);
    } catch (error) {
      if (!isLate && isTemporary(error)) return false;
      const reason = `the projects of wave ${rollout.wave} cannot be checked: ${userMessage(error)}`;
      await this.#write(rollout, async (transaction) => {
        await changeRollout(transaction, rollout, { state: "paused", reason });
      });
      return false;
    }
    const isSettling = [...failures.values()].some(({ code }) => code === "not-ready");
    if (isSettling && !isLate) return false;
    const { platform, wave, id } = rollout;
    const after = known.map(({ row, operation }) => ({
      operation,
      row: failures.has(row.slug) ? { ...row, state: "failed" as const } : row,
    }));
    const then = afterWave(rollout, after);
    await this.#write(rollout, async (transaction) => {
      await changeProjects(
        transaction,
        id,
        [...failures].map(([slug, reason]) => ({
          slug,
          state: "failed" as const,
          reason: jsonText(reason),
          result: jsonText(previewOfEnd(platform, slug, reason, undefined)),
        })),
      );
      await addEvents(transaction, id, [{ event: "wave", wave, state: "checked" }]);
      if (!("nextWave" in then)) return this.#end(transaction, rollout, then);
      await recordNextWave(transaction, this.#options.audit, rollout, then.nextWave);
    });
    return "nextWave" in then;
  }

  async #end(transaction: StoreTransaction, rollout: RolloutRow, end: RolloutEnd): Promise<void> {
    const { audit, log } = this.#options;
    await recordEnd(transaction, audit, rollout, end);
    const { state, reason } = end;
    log.info({ component: "rollout", rollout: rollout.id, state, reason }, "rollout ended");
  }

  /** Writes only while this replica is the conductor and nobody has changed the rollout's state. */
  async #write(
    rollout: RolloutRow,
    work: (transaction: StoreTransaction) => Promise<void>,
  ): Promise<void> {
    await this.#options.store.transaction(async (transaction) => {
      await this.#requireOurs(transaction, rollout);
      await work(transaction);
    });
  }

  /** Locks the rollout. Throws LostRollout if `#write` must not write. */
  async #requireOurs(transaction: StoreTransaction, { id, state }: RolloutRow): Promise<void> {
    const row = await lockedRollout(transaction, id);
    const isSame = row?.conductor === this.#id && row.state === state;
    if (!isSame || !isRolloutOpen(row.state)) throw new LostRollout();
  }
}

/** The Idempotency-Key of what is submitted for a project. */
function submissionKey({ id, state }: RolloutRow, slug: string): string {
  return `rollout ${id} ${state === "planning" ? "preview" : "up"} ${slug}`;
}
