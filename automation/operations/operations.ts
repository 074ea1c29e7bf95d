import { randomUUIDv7 } from "node:crypto";
import { sql } from "kysely";
import { fromKysely, type PgBoss } from "pg-boss";
import { InfraError } from "../../core/errors.ts";
import { projectStackName } from "../../core/stack-name.ts";
import { auditLog, type AuditLog } from "../audit/log.ts";
import { jsonText, type OperationRow } from "../store/schema.ts";
import { addProject } from "../store/projects.ts";
import { openQueue, QUEUE } from "../store/queue.ts";
import type { Store, StoreTransaction } from "../store/store.ts";
import { Bell } from "./bell.ts";
import { InTurn } from "./in-turn.ts";
import type {
  NumberedEvent,
  Operation,
  OperationRequest,
  OperationState,
} from "../../core/operation.ts";
import {
  addOperation,
  addStateEvent,
  changeOperation,
  isOpen,
  lockedRow,
  OPEN,
  operationOf,
} from "./rows.ts";

/** In ms: how long news may stay unheard when the database's notification was lost. */
const POLL_MS = 2_000;
const PAGE = 500;

export interface SubmitInput {
  readonly platform: string;
  readonly slug: string;
  readonly request: OperationRequest;
  /** Who asks: a key's name, or a person. */
  readonly actor: string;
  /** When another operation of the project runs or waits: wait in order, or be refused. */
  readonly ifBusy: "wait" | "refuse";
  /** Refuse with RDEV_CONFLICT where the project is known already. Default: false. */
  readonly mustBeNew?: boolean;
  /** A key of the actor's own, and what it stands for: the same again gives the first operation. */
  readonly idempotency?: { readonly key: string; readonly fingerprint: string };
}

export interface ListOptions {
  readonly slug?: string;
  readonly platform?: string;
  readonly state?: OperationState;
  /** 1 to 1000. */
  readonly limit: number;
  /** Only operations older than that of this id. */
  readonly before?: string;
}

export interface OperationsOptions {
  /** Default: the store's. */
  readonly audit?: AuditLog;
  /** Operations of one project that may run and wait. Default: 20. */
  readonly maxOpen?: number;
}

/** What is asked for, and what has become of it. Any number of processes may work on one database. */
export class Operations {
  readonly #store: Store;
  readonly #boss: PgBoss;
  readonly #bell: Bell;
  readonly #inTurn = new InTurn();
  readonly #audit: AuditLog;
  readonly #maxOpen: number;

  constructor(store: Store, { audit = auditLog(store), maxOpen = 20 }: OperationsOptions = {}) {
    this.#store = store;
    this.#audit = audit;
    this.#maxOpen = maxOpen;
    this.#bell = new Bell(store);
    this.#boss = openQueue(store);
  }

  /**
   * Queues an operation. An `up` makes the project known. The operation carries the settings that it
   * names, and no others: what the project's are then is known when it begins. What changes something
   * is in the audit trail once it is queued, in one transaction. Rejects with RDEV_BUSY, which names
   * the operation that is waited for; RDEV_IDEMPOTENCY;
   * RDEV_NOT_FOUND for a refresh or destroy of a project that is not known; RDEV_CONFLICT for one
   * that is on another platform.
   */
  async submit(input: SubmitInput): Promise<{ operation: Operation; replayed: boolean }> {
    const stack = projectStackName(input.platform, input.slug);
    await this.#boss.start();
    // One connection a project: a thousand requests at once do not use up the pool.
    return this.#inTurn.run(stack, () =>
      this.#store.exclusively(`operations of ${stack}`, async (transaction) => {
        const replayed = await replay(transaction, input);
        if (replayed) return { operation: operationOf(replayed), replayed: true };
        if (input.ifBusy === "refuse") await refuseIfBusy(transaction, input);
        await refuseIfFull(transaction, input, this.#maxOpen);
        await demandKnown(transaction, input);
        const row = await insert(transaction, input);
        await addStateEvent(transaction, row);
        await this.#boss.send(
          QUEUE,
          {},
          {
            id: row.id,
            singletonKey: stack,
            priority: -row.turn,
            db: fromKysely(transaction),
          },
        );
        if (input.request.kind !== "preview") await this.#recordSubmit(transaction, row);
        return { operation: operationOf(row), replayed: false };
      }),
    );
  }

  async find(id: string): Promise<Operation | undefined> {
    const row = await this.#store.run((db) =>
      db.selectFrom("operations").selectAll().where("id", "=", id).executeTakeFirst(),
    );
    return row && operationOf(row);
  }

  /** Newest first. */
  async list({ slug, platform, state, limit, before }: ListOptions): Promise<Operation[]> {
    const rows = await this.#store.run((db) => {
      let query = db.selectFrom("operations").selectAll().orderBy("id", "desc").limit(limit);
      if (slug !== undefined) query = query.where("slug", "=", slug);
      if (platform !== undefined) query = query.where("platform", "=", platform);
      if (state !== undefined) query = query.where("state", "=", state);
      if (before !== undefined) query = query.where("id", "<", before);
      return query.execute();
    });
    return rows.map(operationOf);
  }

  /** The project's newest one. */
  async latest(slug: string): Promise<Operation | undefined> {
    return (await this.list({ slug, limit: 1 }))[0];
  }

  /** Those that come after event number `after`; 0 for all. */
  async events(id: string, after: number, limit: number): Promise<NumberedEvent[]> {
    const rows = await this.#store.run((db) =>
      db
        .selectFrom("operation_events")
        .select(["number", "at", "event"])
        .where("operation_id", "=", id)
        .where("number", ">", after)
        .orderBy("number")
        .limit(limit)
        .execute(),
    );
    return rows;
  }

  /**
   * Events as they come, until that of the operation's end. Rejects with RDEV_NOT_FOUND; ends when
   * the signal is aborted.
   */
  async *follow(id: string, after: number, signal: AbortSignal): AsyncGenerator<NumberedEvent> {
    let last = after;
    let isNew = true;
    let wake = () => undefined as void;
    const stop = this.#bell.onNews((news) => {
      if (news.id !== id) return;
      isNew = true;
      wake();
    });
    try {
      while (!signal.aborted) {
        isNew = false;
        // Before the events: one that ended by then has all of its events.
        const now = await this.find(id);
        if (!now) throw notFound(id);
        const page = await this.events(id, last, PAGE);
        for (const event of page) {
          if (signal.aborted) return;
          yield event;
          last = event.number;
        }
        if (page.length === PAGE) continue;
        if (!isOpen(now.state)) return;
        if (!isNew) await waitFor(signal, (resolve) => (wake = resolve));
      }
    } finally {
      stop();
    }
  }

  /**
   * Ends an operation that waits, and asks the worker of one that runs, wherever it is, to stop. Of
   * one that has ended nothing changes. Rejects with RDEV_NOT_FOUND.
   */
  async cancel(id: string, actor: string): Promise<Operation> {
    await this.#boss.start();
    return this.#store.transaction(async (transaction) => {
      const row = await lockedRow(transaction, id);
      if (!row) throw notFound(id);
      if (row.state !== "queued" && row.state !== "running") {
        await this.#recordCancel(transaction, row, actor);
        return operationOf(row);
      }
      const state = row.state === "queued" ? "cancelled" : "cancelling";
      const next = await changeOperation(transaction, id, {
        state,
        cancelled_by: actor,
        ...(state === "cancelled" && { ended_at: new Date() }),
      });
      if (state === "cancelled") {
        await this.#boss.cancel(QUEUE, id, { db: fromKysely(transaction) });
      }
      await this.#recordCancel(transaction, next, actor);
      return operationOf(next);
    });
  }

  // Both as the last of their transaction: it holds the audit log's lock until its end.

  #recordSubmit(transaction: StoreTransaction, row: OperationRow): Promise<void> {
    const { id: asked, slug: projectId, actor, request } = row;
    return this.#audit.recordIn(transaction, {
      ...{ action: "operation.submit", projectId, actor, component: "http" },
      ...{ result: "success", operation: asked, details: { ...request } },
    });
  }

  #recordCancel(transaction: StoreTransaction, row: OperationRow, actor: string): Promise<void> {
    const { id: asked, slug: projectId, state } = row;
    return this.#audit.recordIn(transaction, {
      ...{ action: "operation.cancel", projectId, actor, component: "http" },
      ...{ result: "success", operation: asked, details: { state } },
    });
  }

  async close(): Promise<void> {
    await this.#bell.close();
    await this.#boss.stop({ graceful: false });
  }
}

async function replay(
  transaction: StoreTransaction,
  { actor, idempotency }: SubmitInput,
): Promise<OperationRow | undefined> {
  if (!idempotency) return undefined;
  const row = await transaction
    .selectFrom("operations")
    .selectAll()
    .where("actor", "=", actor)
    .where("idempotency_key", "=", idempotency.key)
    .executeTakeFirst();
  if (row && row.fingerprint !== idempotency.fingerprint) throw usedKey(idempotency.key, row.id);
  return row;
}

async function refuseIfBusy(
  transaction: StoreTransaction,
  { slug, platform }: SubmitInput,
): Promise<void> {
  const holder = await transaction
    .selectFrom("operations")
    .selectAll()
    .where("slug", "=", slug)
    .where("platform", "=", platform)
    .where("state", "in", OPEN)
    .orderBy("id")
    .limit(1)
    .executeTakeFirst();
  if (!holder) return;
  throw new InfraError(
    "RDEV_BUSY",
    `Operation ${holder.id} (${holder.kind}, by ${holder.actor}, ${holder.state} since ` +
      `${(holder.started_at ?? holder.created_at).toISOString()}) works on "${slug}". Wait until it ` +
      "has ended, or ask to wait in order.",
  );
}

/** What a project may have open is bounded: each waits in the queue, and holds up what comes after. */
async function refuseIfFull(
  transaction: StoreTransaction,
  { slug, platform }: SubmitInput,
  max: number,
): Promise<void> {
  const open = await transaction
    .selectFrom("operations")
    .select("id")
    .where("slug", "=", slug)
    .where("platform", "=", platform)
    .where("state", "in", OPEN)
    .orderBy("id")
    .limit(max)
    .execute();
  if (open.length < max) return;
  throw new InfraError(
    "RDEV_BUSY",
    `${max} operations of "${slug}" run or wait already, and no more may. Wait until operation ` +
      `${open[0]?.id} has ended, or cancel some.`,
  );
}

/**
 * When an operation has its turn among those of all keys: start-time fair queueing. Each operation of a
 * key comes one turn after the one before, and none before those that run. So a key with many
 * operations leaves every other turn to a key with few.
 */
async function turnOf(transaction: StoreTransaction, actor: string): Promise<number> {
  const { rows } = await sql<{ turn: number }>`
    SELECT greatest(
      (SELECT max(turn) FROM operations WHERE started_at IS NOT NULL),
      (SELECT max(turn) + 1 FROM operations
       WHERE actor = ${actor} AND (started_at IS NOT NULL OR state <> 'cancelled')),
      0) AS turn`.execute(transaction);
  return rows[0]!.turn;
}

/** Refuses what does not fit to the projects that are known. An `up` makes its project known. */
async function demandKnown(
  transaction: StoreTransaction,
  { platform, slug, request, mustBeNew }: SubmitInput,
): Promise<void> {
  const project = await transaction
    .selectFrom("projects")
    .select("platform")
    .where("slug", "=", slug)
    .executeTakeFirst();
  if (project && project.platform !== platform) {
    throw new InfraError(
      "RDEV_CONFLICT",
      `"${slug}" is a project of the platform "${project.platform}", not of "${platform}".`,
    );
  }
  if (project && mustBeNew) {
    throw new InfraError(
      "RDEV_CONFLICT",
      `There is a project "${slug}" already. Choose another name, or change that one.`,
    );
  }
  if (!project && (request.kind === "refresh" || request.kind === "destroy")) {
    throw new InfraError("RDEV_NOT_FOUND", `There is no project "${slug}".`);
  }
  if (project || request.kind !== "up") return;
  const name = request.settings.name ?? slug;
  await addProject(transaction, { slug, platform, name, citadelTenantId: null });
}

async function insert(
  transaction: StoreTransaction,
  { platform, slug, request, actor, idempotency }: SubmitInput,
): Promise<OperationRow> {
  const settings = "settings" in request ? request.settings : {};
  const row = await addOperation(transaction, {
    id: randomUUIDv7(),
    platform,
    slug,
    kind: request.kind,
    actor,
    state: "queued",
    request: jsonText(request),
    settings: jsonText(settings),
    turn: await turnOf(transaction, actor),
    idempotency_key: idempotency?.key ?? null,
    fingerprint: idempotency?.fingerprint ?? null,
  });
  if (!row) throw usedKey(idempotency!.key);
  return row;
}

function usedKey(key: string, id?: string): InfraError {
  return new InfraError(
    "RDEV_IDEMPOTENCY",
    `The Idempotency-Key "${key}" was used for another request${id ? ` (operation ${id})` : ""}. ` +
      "Use a new one for a new request.",
  );
}

function notFound(id: string): InfraError {
  return new InfraError("RDEV_NOT_FOUND", `There is no operation ${id}.`);
}

/** Until it is woken, for a while at most. */
async function waitFor(signal: AbortSignal, onWake: (wake: () => void) => void): Promise<void> {
  await new Promise<void>((resolve) => {
    const timer = setTimeout(done, POLL_MS);
    function done() {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    }
    signal.addEventListener("abort", done, { once: true });
    onWake(done);
  });
}
