import { sql } from "kysely";
import { z } from "zod";
import { problems } from "../../core/errors.ts";
import { jsonText } from "../store/json.ts";
import type { AuditRow } from "../store/schema.ts";
import type { Store, StoreTransaction } from "../store/store.ts";
import { FIRST_HASH, rowHash } from "./chain.ts";
import { cleanDetails, cleanText } from "./details.ts";
import type { AuditEvent, AuditLog } from "./port.ts";

/** Any number, the same for all who append. */
const CHAIN_LOCK = 7_274_002;
const MAX_NAME = 200;

const name = z
  .string()
  .min(1)
  .transform((text) => cleanText(text, MAX_NAME));

const wellFormed = z.object({
  action: z
    .string()
    .max(MAX_NAME)
    .regex(/^[a-z][a-z0-9-]*(\.[a-z][a-z0-9-]*)+$/, "is not of the form project.create"),
  projectId: name.nullable().default(null),
  actor: name,
  component: name,
  operation: name.optional(),
  result: z.enum(["started", "success", "failure"]),
  // A clock that jumped back gives less than nothing.
  durationMs: z
    .number()
    .transform((ms) => Math.min(Number.MAX_SAFE_INTEGER, Math.max(0, Math.round(ms))))
    .nullable()
    .default(null),
  // Not looked into here: a getter in it may throw.
  details: z
    .custom<object>((value) => typeof value === "object" && value !== null, "is no object")
    .default({}),
});

/** The audit log in PostgreSQL: rows that are only added, each with the hash of the one before. */
export class PostgresAuditLog implements AuditLog {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  async record(event: AuditEvent): Promise<void> {
    await this.#store.transaction((transaction) => append(transaction, event));
  }

  async recordIn(transaction: StoreTransaction, event: AuditEvent): Promise<void> {
    await append(transaction, event);
  }
}

/** Adds a row as part of a transaction, and answers with it. Others wait until that has ended. */
export async function append(transaction: StoreTransaction, event: AuditEvent): Promise<AuditRow> {
  const { projectId, durationMs, operation, details, ...given } = checked(event);
  await sql`SELECT pg_advisory_xact_lock(${CHAIN_LOCK})`.execute(transaction);
  // After the lock, and in a statement of its own, which sees what the one before committed.
  const { rows } = await sql<{ id: number; last: string | null }>`
    SELECT nextval('audit_log_id_seq') AS id,
           (SELECT hash FROM audit_log ORDER BY id DESC LIMIT 1) AS last`.execute(transaction);
  const { id, last } = rows[0]!;
  const unhashed = {
    ...given,
    ...{ id, at: new Date(), project_id: projectId, duration_ms: durationMs },
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

function checked(event: AuditEvent): z.output<typeof wellFormed> {
  const parsed = wellFormed.safeParse(event);
  if (parsed.success) return parsed.data;
  throw problems(
    "RDEV_AUDIT",
    "An audit event is malformed, so that its action is not done:",
    parsed.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`),
  );
}
