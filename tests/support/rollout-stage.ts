import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { PostgresAuditLog } from "../../automation/audit/log.ts";
import { Operations } from "../../automation/operations/operations.ts";
import { changeState } from "../../automation/operations/tables.ts";
import type { CheckProject } from "../../automation/rollouts/checks.ts";
import { Conductor } from "../../automation/rollouts/conductor.ts";
import { Rollouts } from "../../automation/rollouts/rollouts.ts";
import type { ConductorOptions } from "../../automation/rollouts/steps.ts";
import { migrate } from "../../automation/store/migrate.ts";
import { removeProject } from "../../automation/store/projects.ts";
import { jsonText, type OperationRow } from "../../automation/store/schema.ts";
import { Store } from "../../automation/store/store.ts";
import { NO_CHANGES, notBegun, type Outcome } from "../../core/operation.ts";
import { InfraError } from "../../core/errors.ts";
import type { StackPlan } from "../../core/previews/model.ts";
import { type Rollout, rolloutRequest, type RolloutStack } from "../../core/rollout.ts";
import { until } from "../../sandbox/process.ts";
import { embeddedStore } from "./embedded-store.ts";

type Database = Awaited<ReturnType<typeof embeddedStore>>;

export const VERSION = "1.0.0+new";
export const ADA = { id: "key-ada", actor: "ada" };
export const BOB = { id: "key-bob", actor: "bob" };

/** What a project's operation does. Default: it succeeds. */
export type Behaviour = "fail" | "hang" | "drift" | "lose-data" | "plan-fails" | "deleted";

const DONE: Outcome = {
  result: "succeeded",
  changes: NO_CHANGES,
  outputs: {},
  durationMs: 1,
  errors: [],
};

/** A stage for each test of a suite, on a database without rollouts. */
export function rolloutStages(): () => RolloutStage {
  let database: Database;
  let stage: RolloutStage;
  before(async () => void (database = await embeddedStore()));
  after(() => database.close());
  beforeEach(async () => void (stage = await RolloutStage.open(database)));
  afterEach(async () => {
    await stage.close();
    await database.lose();
  });
  return () => stage;
}

/**
 * Rollouts on a real database, with operations that end as the test says: no engine and no worker. The
 * stand-in for the runner keeps the rules of `Execution` for operations of rollouts.
 */
class RolloutStage {
  readonly behaviour = new Map<string, Behaviour>();
  /** Projects that a check finds unready. */
  readonly unready = new Set<string>();
  /** The `up`s that began, in order. */
  readonly begun: string[] = [];
  /** The largest number of `up`s at once. */
  most = 0;
  readonly store: Store;
  readonly operations: Operations;
  readonly database: Database;
  readonly #conductors: Conductor[] = [];
  readonly #ending = new AbortController();
  readonly #runner: Promise<void>;

  private constructor(database: Database) {
    this.database = database;
    this.store = new Store({ url: database.url });
    this.operations = new Operations(this.store, { audit: new PostgresAuditLog(this.store) });
    this.#runner = this.#run();
  }

  /** The database must have no tables yet. */
  static async open(database: Database): Promise<RolloutStage> {
    await migrate(database);
    return new RolloutStage(database);
  }

  /** Projects that are at another version of the program. */
  async addProjects(...slugs: string[]): Promise<void> {
    for (const slug of slugs) {
      await this.database.admin(`INSERT INTO projects (slug, platform, name, program_version)
        VALUES ('${slug}', 'staging', '${slug}', '1.0.0+old')`);
    }
  }

  rollouts(options: { version?: string; ownApproval?: boolean } = {}): Rollouts {
    const audit = new PostgresAuditLog(this.store);
    return new Rollouts(this.store, { platform: "staging", version: VERSION, audit, ...options });
  }

  /** Starts a replica's conductor, which the stage stops at its end. */
  conduct(options: Partial<ConductorOptions> = {}): Conductor {
    const silent = { info: () => undefined, warn: () => undefined, error: () => undefined };
    const check: CheckProject = async ({ project: { slug } }) =>
      this.unready.has(slug) ? { code: "not-ready", message: "no pod is ready" } : undefined;
    const conductor = new Conductor({
      store: this.store,
      operations: this.operations,
      audit: new PostgresAuditLog(this.store),
      platform: "staging",
      version: VERSION,
      log: silent,
      check,
      checkGrace: 0,
      ...options,
    });
    this.#conductors.push(conductor);
    conductor.start();
    return conductor;
  }

  start(request: object = {}): Promise<Rollout> {
    const quick = { pauseSeconds: 0, ...request };
    return this.rollouts().start(rolloutRequest.parse(quick), ADA);
  }

  /** Starts a rollout, waits for its plan, and approves it. */
  async approved(request: object = {}, dataLoss = false): Promise<Rollout> {
    const { id } = await this.start(request);
    const { plan = "" } = await this.untilState(id, "planned");
    return this.rollouts().approve(id, { plan, dataLoss }, BOB);
  }

  async untilState(id: string, state: Rollout["state"]): Promise<Rollout> {
    let found: Rollout | undefined;
    await until(async () => {
      found = await this.rollouts().find(id);
      assert.equal(found?.state, state, found?.reason);
    });
    return found!;
  }

  async untilProject(id: string, slug: string, state: RolloutStack["state"]): Promise<void> {
    await until(async () => assert.equal((await this.states(id))[slug]?.split(":")[0], state));
  }

  /** `failed:not-ready` for each project. */
  async states(id: string): Promise<Record<string, string>> {
    const projects = await this.rollouts().projects(id);
    return Object.fromEntries(
      projects.map(({ slug, state, reason }) => [slug, reason ? `${state}:${reason.code}` : state]),
    );
  }

  async audited(): Promise<string[]> {
    const rows = await this.database.admin(
      "SELECT action, actor FROM audit_log WHERE action LIKE 'rollout.%' ORDER BY id",
    );
    return rows.map(({ action, actor }) => `${String(action)} by ${String(actor)}`);
  }

  async close(): Promise<void> {
    await Promise.all(this.#conductors.map((conductor) => conductor.stop()));
    this.#ending.abort();
    await this.#runner;
    await this.operations.close();
    await this.store.close();
  }

  /** Runs queued operations, and ends cancelled ones. */
  async #run(): Promise<void> {
    while (!this.#ending.signal.aborted) {
      await this.#turn().catch(() => undefined); // the database is away
      await sleep(5, undefined, { signal: this.#ending.signal }).catch(() => undefined);
    }
  }

  async #turn(): Promise<void> {
    await this.store.transaction(async (transaction) => {
      const rows = await transaction
        .selectFrom("operations")
        .selectAll()
        .where("ended_at", "is", null)
        .orderBy("id")
        .forUpdate()
        .execute();
      const ups = rows.filter(({ kind, state }) => kind === "up" && state !== "queued");
      this.most = Math.max(this.most, ups.length);
      for (const row of rows) {
        const { id, slug, kind, state } = row;
        if (state === "queued") {
          if (kind === "up") this.begun.push(slug);
          await changeState(transaction, id, { state: "running", started_at: new Date() });
          continue;
        }
        if (state === "cancelling") {
          await changeState(transaction, id, { state: "cancelled", ended_at: new Date() });
          continue;
        }
        if (this.behaviour.get(slug) === "deleted" && kind === "up") {
          await removeProject(transaction, slug);
        }
        const outcome = this.#outcome(row, await exists(transaction, slug));
        if (!outcome) continue;
        await changeState(transaction, id, {
          state: outcome.result,
          ended_at: new Date(),
          outcome: jsonText(outcome),
        });
      }
    });
  }

  #outcome({ kind, slug, request }: OperationRow, isThere: boolean): Outcome | undefined {
    const behaviour = this.behaviour.get(slug);
    if (!isThere) return notBegun(new InfraError("RDEV_NOT_FOUND", "There is no such project."));
    if (kind === "preview") {
      return behaviour === "plan-fails" ? failure("no") : { ...DONE, plan: planOf(behaviour) };
    }
    if (behaviour === "hang") return undefined;
    if (behaviour === "fail") return failure("it broke");
    const approved = request.kind === "up" ? request.approved : undefined;
    const plan = planOf(behaviour === "drift" ? "drift" : behaviour);
    const fingerprint = behaviour === "drift" ? "another" : plan.fingerprint;
    if (approved && fingerprint !== approved.fingerprint) {
      return { ...notBegun(new InfraError("RDEV_PLAN", "Another plan.")), plan };
    }
    return DONE;
  }
}

function planOf(behaviour: Behaviour | undefined): StackPlan {
  const finding = { rule: "database-lost", urn: "u", message: "its data is lost.", blocks: true };
  const isLosing = behaviour === "lose-data";
  return {
    fingerprint: isLosing ? "losing" : "same",
    unchanged: 3,
    changes: [{ op: "update", urn: "u", type: "t", name: "n", properties: [], moreProperties: 0 }],
    findings: isLosing ? [finding] : [],
  };
}

function failure(message: string): Outcome {
  return { ...DONE, result: "failed", errors: [{ message }] };
}

async function exists(
  transaction: Parameters<Parameters<Store["transaction"]>[0]>[0],
  slug: string,
): Promise<boolean> {
  const found = await transaction
    .selectFrom("projects")
    .select("slug")
    .where("slug", "=", slug)
    .executeTakeFirst();
  return found !== undefined;
}
