import { randomUUIDv7 } from "node:crypto";
import { sql } from "kysely";
import { fromKysely, type PgBoss } from "pg-boss";
import { InfraError } from "../../core/errors.ts";
import { isBackground, type OperationRequest } from "../../core/operation.ts";
import { projectStackName } from "../../core/stack-name.ts";
import { addProject } from "../store/projects.ts";
import { QUEUE } from "../store/queue.ts";
import { jsonText, type OperationRow } from "../store/schema.ts";
import type { StoreTransaction } from "../store/store.ts";
import { changeState, insertOperation, isNoLook, OPEN_STATES } from "./tables.ts";

/** Behind everything that a person may wait for, whose priorities are minus their turns. */
const BACKGROUND_PRIORITY = -2_000_000_000;

export interface Submission {
  readonly platform: string;
  readonly slug: string;
  readonly request: OperationRequest;
  /** The caller: the name of a key, or a person. */
  readonly actor: string;
  /** If another operation of the project runs or waits: wait in order, or be refused. */
  readonly ifBusy: "wait" | "refuse";
  /** Refuse with RDEV_CONFLICT if the project exists already. Default: false. */
  readonly mustBeNew?: boolean;
  /** The actor's Idempotency-Key, and a hash of the request. A repetition returns the first operation. */
  readonly idempotency?: { readonly key: string; readonly fingerprint: string };
  /**
   * Called with the operation's id in the transaction that adds it. If it rejects, nothing is submitted. Not
   * called for a repetition.
   */
  readonly alongside?: (transaction: StoreTransaction, id: string) => Promise<void>;
}

/** The operation that the Idempotency-Key started before. */
export async function findReplayed(
  transaction: StoreTransaction,
  { actor, idempotency }: Submission,
): Promise<OperationRow | undefined> {
  if (!idempotency) return undefined;
  const row = await transaction
    .selectFrom("operations")
    .selectAll()
    .where("actor", "=", actor)
    .where("idempotency_key", "=", idempotency.key)
    .executeTakeFirst();
  if (row && row.fingerprint !== idempotency.fingerprint) throw keyReused(idempotency.key, row.id);
  return row;
}

/** Throws RDEV_BUSY if the caller does not want to wait, or if `maxOpen` operations wait already. */
export async function refuseIfBusy(
  transaction: StoreTransaction,
  { slug, platform, ifBusy, request }: Submission,
  maxOpen: number,
): Promise<void> {
  const open = await transaction
    .selectFrom("operations")
    .selectAll()
    .where("slug", "=", slug)
    .where("platform", "=", platform)
    .where("state", "in", OPEN_STATES)
    .$if(!isBackground(request), (query) => query.where(isNoLook))
    .orderBy("id")
    .limit(maxOpen)
    .execute();
  const [first] = open;
  if (first && ifBusy === "refuse") {
    const since = (first.started_at ?? first.created_at).toISOString();
    throw new InfraError(
      "RDEV_BUSY",
      `Operation ${first.id} (${first.kind}, by ${first.actor}, ${first.state} since ${since}) works ` +
        `on "${slug}". Wait until it has ended, or ask to wait in order.`,
    );
  }
  if (open.length < maxOpen) return;
  throw new InfraError(
    "RDEV_BUSY",
    `${maxOpen} operations of "${slug}" run or wait already, which is the limit. Wait until operation ` +
      `${first?.id} has ended, or cancel some.`,
  );
}

/**
 * Cancels the looks at a project that are part of a look at all projects, unless the submission is one. The
 * look at all projects will look again.
 */
export async function supersedeLooks(
  transaction: StoreTransaction,
  boss: PgBoss,
  { slug, platform, request }: Submission,
): Promise<void> {
  if (isBackground(request)) return;
  const looks = await transaction
    .selectFrom("operations")
    .select(["id", "state"])
    .where("slug", "=", slug)
    .where("platform", "=", platform)
    .where("state", "in", ["queued", "running"])
    .where((where) => where.not(isNoLook))
    .forUpdate()
    .execute();
  for (const { id, state } of looks) {
    if (state === "queued") await cancelQueued(transaction, boss, id, null);
    else await changeState(transaction, id, { state: "cancelling" });
  }
}

/** Ends an operation that waits. */
export async function cancelQueued(
  transaction: StoreTransaction,
  boss: PgBoss,
  id: string,
  cancelledBy: string | null,
): Promise<OperationRow> {
  const row = await changeState(transaction, id, {
    state: "cancelled",
    cancelled_by: cancelledBy,
    ended_at: new Date(),
  });
  await boss.cancel(QUEUE, id, { db: fromKysely(transaction) });
  return row;
}

/** Throws RDEV_CONFLICT or RDEV_NOT_FOUND if the project's existence contradicts the request. */
export async function checkProject(
  transaction: StoreTransaction,
  { platform, slug, request, mustBeNew }: Submission,
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
  if (!project && !mayCreate(request)) {
    throw new InfraError("RDEV_NOT_FOUND", `There is no project "${slug}".`);
  }
}

/** A rollout must not create a project again that was deleted meanwhile. */
function mayCreate(request: OperationRequest): boolean {
  if (request.kind === "up") return request.approved === undefined;
  return request.kind === "preview" && request.rollout === undefined;
}

/** Adds the operation to the table, and the project of an `up` if it does not exist yet. */
export async function addSubmission(
  transaction: StoreTransaction,
  { platform, slug, request, actor, idempotency }: Submission,
): Promise<OperationRow> {
  if (request.kind === "up" && mayCreate(request)) {
    const name = request.settings.name ?? slug;
    await addProject(transaction, { slug, platform, name, citadelTenantId: null });
  }
  const row = await insertOperation(transaction, {
    id: randomUUIDv7(),
    platform,
    slug,
    kind: request.kind,
    actor,
    state: "queued",
    request: jsonText(request),
    settings: jsonText("settings" in request ? request.settings : {}),
    turn: isBackground(request) ? 0 : await nextTurn(transaction, actor),
    idempotency_key: idempotency?.key ?? null,
    fingerprint: idempotency?.fingerprint ?? null,
  });
  // A request for another project has used the same key at the same moment.
  if (!row) throw keyReused(idempotency!.key);
  return row;
}

/** Adds the operation's job to the queue. */
export async function sendJob(
  transaction: StoreTransaction,
  boss: PgBoss,
  { id, platform, slug, turn, request }: OperationRow,
): Promise<void> {
  const singletonKey = projectStackName(platform, slug);
  const priority = isBackground(request) ? BACKGROUND_PRIORITY : -turn;
  await boss.send(QUEUE, {}, { id, singletonKey, priority, db: fromKysely(transaction) });
}

/**
 * The operation's place in the queue among those of all keys, by start-time fair queueing. Each
 * operation of a key comes one turn after the key's previous one, and none comes before the running
 * ones. So a key with many operations does not delay a key with few.
 */
async function nextTurn(transaction: StoreTransaction, actor: string): Promise<number> {
  const { rows } = await sql<{ turn: number }>`
    SELECT greatest(
      (SELECT max(turn) FROM operations WHERE started_at IS NOT NULL),
      (SELECT max(turn) + 1 FROM operations
       WHERE actor = ${actor} AND (started_at IS NOT NULL OR state <> 'cancelled')),
      0) AS turn`.execute(transaction);
  return rows[0]!.turn;
}

function keyReused(key: string, id?: string): InfraError {
  return new InfraError(
    "RDEV_IDEMPOTENCY",
    `The Idempotency-Key "${key}" was used for another request${id ? ` (operation ${id})` : ""}. ` +
      "Use a new one for a new request.",
  );
}
