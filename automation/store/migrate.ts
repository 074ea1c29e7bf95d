import { type Kysely, type RawBuilder, sql } from "kysely";
import { type Migration, Migrator } from "kysely/migration";
import { InfraError } from "../../core/errors.ts";
import * as projects from "./migrations/001-projects.ts";
import * as citadelTenantId from "./migrations/002-citadel-tenant-id.ts";
import * as audit from "./migrations/003-audit.ts";
import * as operations from "./migrations/004-operations.ts";
import * as apiKeys from "./migrations/005-api-keys.ts";
import * as foundEmpty from "./migrations/006-found-empty.ts";
import * as turns from "./migrations/007-turns.ts";
import * as auditShipped from "./migrations/008-audit-shipped.ts";
import * as fleet from "./migrations/009-fleet.ts";
import * as fleetRequests from "./migrations/010-fleet-requests.ts";
import { installQueue, QUEUE_SCHEMA } from "./queue.ts";
import type { Schema } from "./schema.ts";
import { Store, type StoreTransaction } from "./store.ts";

/** All migrations, in order. A released migration never changes; a new one corrects it. */
export const MIGRATIONS: Readonly<Record<string, Migration>> = {
  "001-projects": projects,
  "002-citadel-tenant-id": citadelTenantId,
  "003-audit": audit,
  "004-operations": operations,
  "005-api-keys": apiKeys,
  "006-found-empty": foundEmpty,
  "007-turns": turns,
  "008-audit-shipped": auditShipped,
  "009-fleet": fleet,
  "010-fleet-requests": fleetRequests,
};

/**
 * By how many migrations the schema may be newer than this version. Each one leaves the statements of
 * the version before it working (tests/automation/store/migrations.test.ts). So the older version can
 * start while an update runs, and in a rollback.
 */
export const NEWER_MIGRATIONS = 1;

/** The advisory lock of a migration. The number is arbitrary, and the same in all processes. */
const MIGRATION_LOCK = 7_274_001;

interface MigrateOptions {
  /** The URL of the role that owns the tables. */
  readonly ownerUrl: string;
  /** The existing role that the service connects as. */
  readonly serviceRole: string;
  /** By how many migrations the schema may be newer already. Default: 1. */
  readonly newer?: number;
}

/**
 * Migrates the database in one transaction, and grants the service's role its rights. Safe to run
 * concurrently. Returns the names of the migrations that ran: none if the schema is newer, by at most
 * `newer` migrations. Rejects with RDEV_STORE if it is newer than that.
 */
export async function migrate({
  ownerUrl,
  serviceRole,
  newer = NEWER_MIGRATIONS,
}: MigrateOptions): Promise<string[]> {
  const store = new Store({ url: ownerUrl, connections: 1 });
  try {
    return await store.transaction(async (transaction) => {
      await lockMigrations(transaction);
      const unknown = await countUnknown(transaction);
      if (unknown > 0 && unknown <= newer) return [];
      const names = await migrateTo(transaction, Object.keys(MIGRATIONS).at(-1)!);
      // The queue is installed and committed on another connection. The lock held here keeps concurrent
      // migrations out.
      await installQueue(ownerUrl);
      await grant(transaction, serviceRole);
      return names;
    });
  } finally {
    await store.close();
  }
}

/** How many migrations ran that this version does not know. */
async function countUnknown(transaction: StoreTransaction): Promise<number> {
  const { rows: found } = await sql<{ isMigrated: boolean }>`
    SELECT to_regclass('kysely_migration') IS NOT NULL AS "isMigrated"`.execute(transaction);
  if (!found[0]!.isMigrated) return 0;
  const { rows } = await sql<{ name: string }>`
    SELECT name FROM kysely_migration`.execute(transaction);
  return rows.filter(({ name }) => !(name in MIGRATIONS)).length;
}

/** Waits until no other migration runs, and keeps others out until the end of the transaction. */
export async function lockMigrations(transaction: StoreTransaction): Promise<void> {
  await sql`SELECT pg_advisory_xact_lock(${MIGRATION_LOCK})`.execute(transaction);
}

/** Runs the migrations up to this one, and returns the names of those that ran. Throws RDEV_STORE. */
export async function migrateTo(transaction: StoreTransaction, last: string): Promise<string[]> {
  const { error, results = [] } = await new Migrator({
    db: transaction,
    provider: { getMigrations: async () => ({ ...MIGRATIONS }) },
  }).migrateTo(last);
  if (error !== undefined) throw migrationError(error);
  return results.map(({ migrationName }) => migrationName);
}

/** Grants the service's role its rights on this version's tables. */
export async function grant(db: Kysely<Schema>, serviceRole: string): Promise<void> {
  const role = sql.id(serviceRole);
  // The owner loses its rights as well: on a small platform the service's role may be the owner.
  const appendOnly = sql.raw("audit_log, audit_shipped");
  await sql`REVOKE ALL ON ${appendOnly} FROM PUBLIC, CURRENT_USER, ${role}`.execute(db);
  await sql`GRANT SELECT, INSERT ON ${appendOnly} TO CURRENT_USER, ${role}`.execute(db);
  await sql`GRANT USAGE ON SEQUENCE audit_log_id_seq TO ${role}`.execute(db);
  const writable = sql.raw(
    [
      "projects, audit_outbox, api_keys, operations, operation_attempts, operation_events",
      "notifications, notification_deliveries",
      "rollouts, rollout_projects, rollout_events, merged_rollouts",
      "drift_runs, drift, lifetimes",
      "forge_deliveries, pull_request_heads, preview_requests",
    ].join(", "),
  );
  await sql`GRANT SELECT, INSERT, UPDATE, DELETE ON ${writable} TO ${role}`.execute(db);
  // The service checks at startup that the schema is its version's.
  await sql`GRANT SELECT ON kysely_migration TO ${role}`.execute(db);
  const queue = sql.id(QUEUE_SCHEMA);
  await sql`GRANT USAGE ON SCHEMA ${queue} TO ${role}`.execute(db);
  await sql`
    GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA ${queue} TO ${role}`.execute(db);
  await sql`GRANT USAGE ON ALL SEQUENCES IN SCHEMA ${queue} TO ${role}`.execute(db);
  await closeDatabase(db, role);
}

/**
 * By default every role of the server may connect to a database. Such a role could notify the service,
 * read its notifications, and hold its advisory locks.
 */
async function closeDatabase(db: Kysely<Schema>, role: RawBuilder<unknown>): Promise<void> {
  const { rows } = await sql<{ name: string }>`SELECT current_database() AS name`.execute(db);
  const database = sql.id(rows[0]!.name);
  await sql`REVOKE CONNECT, TEMPORARY ON DATABASE ${database} FROM PUBLIC`.execute(db);
  await sql`GRANT CONNECT ON DATABASE ${database} TO ${role}`.execute(db);
}

function migrationError(error: unknown): unknown {
  if (!(error instanceof Error) || !/corrupted migrations/.test(error.message)) return error;
  return new InfraError(
    "RDEV_STORE",
    `The database was migrated by another version of rdev-infra (${error.message}). ` +
      "Use the newest version.",
  );
}
