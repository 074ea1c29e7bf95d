import { createHash, randomUUID } from "node:crypto";
import { sql } from "kysely";
import { z } from "zod";
import { connection } from "../../core/connections.ts";
import { InfraError, problems, userMessage } from "../../core/errors.ts";
import { type AuditResult, type AuditRow, jsonText } from "../store/schema.ts";
import type { Store, StoreTransaction } from "../store/store.ts";
import { cleanDetails, cleanText } from "./details.ts";
import { enqueue } from "./outbox.ts";

/** An action of a person or a service, with its result. */
export interface AuditEvent {
  /** For example `project.create`: words of a-z, 0-9 and hyphens, joined by dots. */
  readonly action: string;
  /** The project's slug. Events about the platform have none. */
  readonly projectId?: string;
  /** A person or a service: `ada@example.test`, `rdev-api`. */
  readonly actor: string;
  /** The part that does the work: `infra`, `build`, `saga`, `http`. */
  readonly component: string;
  readonly result: AuditResult;
  /** Rounded to whole milliseconds when it is stored. */
  readonly durationMs?: number;
  /** Links the `started` event of an operation to the event with its result. Stored in the details. */
  readonly operation?: string;
  /** Any JSON. Secrets are removed and long values are cut. */
  readonly details?: Readonly<Record<string, unknown>>;
}

/** An event is durable once `record` has resolved. */
export interface AuditLog {
  /** Rejects with RDEV_AUDIT if the event is malformed, and like `Store.run`. */
  record(event: AuditEvent): Promise<void>;
  /** Like `record`, in the caller's transaction. */
  recordIn(transaction: StoreTransaction, event: AuditEvent): Promise<void>;
}

/** The audit log of a database. It queues events for Citadel unless Citadel is disabled. */
export function auditLog(store: Store): AuditLog {
  const { enabled } = connection("citadelEnabled");
  return enabled ? new MultiWriter(store) : new PostgresAuditLog(store);
}

/** The audit log in PostgreSQL: append-only rows, each with the hash of the row before it. */
export class PostgresAuditLog implements AuditLog {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  record(event: AuditEvent): Promise<void> {
    return this.#store.transaction((transaction) => this.recordIn(transaction, event));
  }

  async recordIn(transaction: StoreTransaction, event: AuditEvent): Promise<void> {
    await append(transaction, event);
  }
}

/**
 * Writes events to PostgreSQL, and queues them for Citadel in the same transaction. An event is
 * therefore in both tables or in neither. Citadel may be down.
 */
export class MultiWriter extends PostgresAuditLog {
  override async recordIn(transaction: StoreTransaction, event: AuditEvent): Promise<void> {
    await enqueue(transaction, await append(transaction, event));
  }
}

/** The advisory lock that serializes writers. The number is arbitrary, and the same in all processes. */
const CHAIN_LOCK = 7_274_002;
const MAX_NAME = 200;

const name = z
  .string()
  .min(1)
  .transform((text) => cleanText(text, MAX_NAME));

const auditEvent = z.object({
  action: z
    .string()
    .max(MAX_NAME)
    .regex(/^[a-z][a-z0-9-]*(\.[a-z][a-z0-9-]*)+$/, "is not of the form project.create"),
  projectId: name.nullable().default(null),
  actor: name,
  component: name,
  operation: name.optional(),
  result: z.enum(["started", "success", "failure"]),
  // Negative if the clock was set back.
  durationMs: z
    .number()
    .transform((ms) => Math.min(Number.MAX_SAFE_INTEGER, Math.max(0, Math.round(ms))))
    .nullable()
    .default(null),
  // The schema does not read the properties, because a getter may throw.
  details: z
    .custom<object>((value) => typeof value === "object" && value !== null, "is not an object")
    .default({}),
});

/** Appends a row in the caller's transaction. Other writers wait until that transaction ends. */
async function append(transaction: StoreTransaction, event: AuditEvent): Promise<AuditRow> {
  const { projectId, durationMs, operation, details, ...rest } = checked(event);
  await sql`SELECT pg_advisory_xact_lock(${CHAIN_LOCK})`.execute(transaction);
  // A separate statement after the lock, so that it sees what the previous writer committed.
  const { rows } = await sql<{ id: number; last: string | null }>`
    SELECT nextval('audit_log_id_seq') AS id,
           (SELECT hash FROM audit_log ORDER BY id DESC LIMIT 1) AS last`.execute(transaction);
  const { id, last } = rows[0]!;
  const unhashed = {
    ...rest,
    id,
    at: new Date(),
    project_id: projectId,
    duration_ms: durationMs,
    details: { ...cleanDetails(details), ...(operation !== undefined && { operation }) },
    prev_hash: last ?? FIRST_HASH,
  };
  const row = { ...unhashed, hash: rowHash(unhashed) };
  await transaction
    .insertInto("audit_log")
    .values({ ...row, details: jsonText(row.details) })
    .execute();
  return row;
}

function checked(event: AuditEvent): z.output<typeof auditEvent> {
  const parsed = auditEvent.safeParse(event);
  if (parsed.success) return parsed.data;
  throw problems(
    "RDEV_AUDIT",
    "The audit event is malformed, so its action was not run:",
    parsed.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`),
  );
}

/** The `prev_hash` of the first row. */
export const FIRST_HASH = "0".repeat(64);

/** SHA-256, in hex, of a row, which includes the hash of the row before it. */
export function rowHash(row: Omit<AuditRow, "hash">): string {
  const { id, at, action, project_id, actor, result, duration_ms, component, details } = row;
  const text = canonicalJson({
    id,
    at: at.toISOString(),
    action,
    project_id,
    actor,
    result,
    duration_ms,
    component,
    details,
    prev_hash: row.prev_hash,
  });
  return createHash("sha256").update(text).digest("hex");
}

/** JSON with sorted keys, because PostgreSQL's jsonb does not keep their order. */
function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) =>
    part !== null && typeof part === "object" && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}

type AuditedAction = Omit<AuditEvent, "result" | "durationMs">;

/** The result of work that returned. */
export interface AuditedResult {
  readonly result: "success" | "failure";
  /** Added to the details of the action. */
  readonly details?: Readonly<Record<string, unknown>>;
}

/**
 * Records the intent, runs the work, and records its result. `resultOf` decides the result from the
 * value that the work returns; work that throws is a failure. Does not run the work if the intent
 * cannot be recorded. Rejects with what the work throws, or with RDEV_AUDIT if the work has ended but
 * its result cannot be recorded.
 */
export async function audited<T>(
  log: AuditLog,
  audit: AuditedAction,
  work: () => Promise<T>,
  resultOf: (value: T) => AuditedResult = () => ({ result: "success" }),
): Promise<T> {
  const action = { ...audit, operation: audit.operation ?? randomUUID() };
  await log.record({ ...action, result: "started" });
  const start = performance.now(); // monotonic: the system clock may be set back
  const recordResult = async ({ result, details: more }: AuditedResult) => {
    const durationMs = performance.now() - start;
    try {
      await log.record({ ...action, result, durationMs, details: { ...action.details, ...more } });
    } catch (error) {
      const reason = more?.["error"] === undefined ? "" : ` (${userMessage(more["error"])})`;
      throw new InfraError(
        "RDEV_AUDIT",
        `${action.action} ended with ${result}${reason}, but the audit log could not record it: ` +
          userMessage(error),
        { cause: more?.["error"] ?? error },
      );
    }
  };
  let value: T;
  try {
    value = await work();
  } catch (error) {
    await recordResult({ result: "failure", details: { error: error ?? "no reason was given" } });
    throw error;
  }
  await recordResult(resultOf(value));
  return value;
}
