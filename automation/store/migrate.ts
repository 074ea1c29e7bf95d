import { type Kysely, type RawBuilder, sql } from "kysely";
import { Migrator } from "kysely/migration";
import { InfraError } from "../../core/errors.ts";
import { installQueue, QUEUE_SCHEMA } from "./queue.ts";
import { MIGRATIONS } from "./migrations.ts";
import type { Schema } from "./schema.ts";
import { Store } from "./store.ts";

/** Any number, the same for all. */
const MIGRATION_LOCK = 7_274_001;

export interface MigrateOptions {
  /** Of the role that owns the tables. */
  readonly ownerUrl: string;
  /** The role that the service works as. It must exist. */
  readonly serviceRole: string;
}

/**
 * Brings the database to what this version needs, all or nothing, and gives the service's role its
 * rights. Any number may do so at once. Answers with the names of the migrations that it ran.
 */
export async function migrate({ ownerUrl, serviceRole }: MigrateOptions): Promise<string[]> {
  const store = new Store({ url: ownerUrl, connections: 1 });
  try {
    return await store.transaction(async (transaction) => {
      await sql`SELECT pg_advisory_xact_lock(${MIGRATION_LOCK})`.execute(transaction);
      const { error, results = [] } = await new Migrator({
        db: transaction,
        provider: { getMigrations: async () => ({ ...MIGRATIONS }) },
      }).migrateToLatest();
      if (error !== undefined) throw unmigrated(error);
      // On a connection of its own, for it commits; others wait for the lock that is held here.
      await installQueue(ownerUrl);
      await grant(transaction, serviceRole);
      return results.map(({ migrationName }) => migrationName);
    });
  } finally {
    await store.close();
  }
}

async function grant(db: Kysely<Schema>, serviceRole: string): Promise<void> {
  const role = sql.id(serviceRole);
  // Not even its owner, which may be the service's role itself on a small platform.
  const added = sql.raw("audit_log, audit_shipped");
  await sql`REVOKE ALL ON ${added} FROM PUBLIC, CURRENT_USER, ${role}`.execute(db);
  await sql`GRANT SELECT, INSERT ON ${added} TO CURRENT_USER, ${role}`.execute(db);
  await sql`GRANT USAGE ON SEQUENCE audit_log_id_seq TO ${role}`.execute(db);
  const changed = sql.raw(
    "projects, audit_outbox, api_keys, operations, operation_attempts, operation_events",
  );
  await sql`GRANT SELECT, INSERT, UPDATE, DELETE ON ${changed} TO ${role}`.execute(db);
  // By it the service knows, when it starts, whether the tables are its version's.
  await sql`GRANT SELECT ON kysely_migration TO ${role}`.execute(db);
  const queue = sql.id(QUEUE_SCHEMA);
  await sql`GRANT USAGE ON SCHEMA ${queue} TO ${role}`.execute(db);
  await sql`
    GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA ${queue} TO ${role}`.execute(db);
  await sql`GRANT USAGE ON ALL SEQUENCES IN SCHEMA ${queue} TO ${role}`.execute(db);
  await closeDatabase(db, role);
}

/**
 * Any role of the server may connect to a new database, and could then notify the service, hear of
 * every operation, and hold the locks by which replicas take turns.
 */
async function closeDatabase(db: Kysely<Schema>, role: RawBuilder<unknown>): Promise<void> {
  const { rows } = await sql<{ name: string }>`SELECT current_database() AS name`.execute(db);
  const database = sql.id(rows[0]!.name);
  await sql`REVOKE CONNECT, TEMPORARY ON DATABASE ${database} FROM PUBLIC`.execute(db);
  await sql`GRANT CONNECT ON DATABASE ${database} TO ${role}`.execute(db);
}

function unmigrated(error: unknown): unknown {
  if (!(error instanceof Error) || !/corrupted migrations/.test(error.message)) return error;
  return new InfraError(
    "RDEV_STORE",
    `The database was migrated by another version of rdev-infra (${error.message}). ` +
      "Use the newest version.",
  );
}
