import { sql } from "kysely";
import { InfraError } from "../../core/errors.ts";
import { MIGRATIONS, NEWER_MIGRATIONS } from "./migrate.ts";
import { openQueue } from "./queue.ts";
import type { Store } from "./store.ts";

/**
 * Rejects with RDEV_STORE if the schema is older than this version's, or newer by more migrations than
 * `newer`, by default 1. Changes nothing.
 */
export async function requireSchema(
  store: Store,
  { newer = NEWER_MIGRATIONS } = {},
): Promise<void> {
  const applied = await appliedMigrations(store);
  const missing = Object.keys(MIGRATIONS).filter((name) => !applied.includes(name));
  const unknown = applied.filter((name) => !(name in MIGRATIONS));
  if (unknown.length > newer) {
    throw new InfraError(
      "RDEV_STORE",
      "A newer version of rdev-infra migrated the database (this version does not know " +
        `${unknown.join(", ")}). Start that version, or a newer one.`,
    );
  }
  if (missing.length > 0) throw notMigrated(missing.join(", "));
  await requireQueue(store);
}

/**
 * Rejects with RDEV_STORE if the role of DATABASE_URL could disable the protection of the audit log,
 * because it owns the table or is a superuser.
 */
export async function requireAppendOnly(store: Store): Promise<void> {
  const { rows } = await store.run((db) =>
    sql<{ role: string; owns: boolean }>`
      SELECT current_user AS role, pg_has_role(relowner, 'MEMBER') AS owns
      FROM pg_class WHERE oid = 'audit_log'::regclass`.execute(db),
  );
  const { role, owns } = rows[0]!;
  if (!owns) return;
  throw new InfraError(
    "RDEV_STORE",
    `The role "${role}" of DATABASE_URL owns the audit log or is a superuser, so the service could ` +
      "change the log. Create a role of its own for the service (CREATE ROLE rdev_infra LOGIN " +
      "PASSWORD '…'), set it in DATABASE_URL and the owner in DATABASE_OWNER_URL, and run: " +
      "rdev-infra store migrate",
  );
}

/** Whether every role of the server may connect to the database. */
export async function isOpenToAll(store: Store): Promise<boolean> {
  const { rows } = await store.run((db) =>
    sql<{ open: boolean }>`
      SELECT has_database_privilege('public', current_database(), 'CONNECT') AS open`.execute(db),
  );
  return rows[0]!.open;
}

/** A warning with the fix, for an owner of the tables who is not the owner of the database. */
export const OPEN_TO_ALL =
  "Every role of the PostgreSQL server may connect to rdev-infra's database, and could hold its " +
  "locks. Run as the database's owner: REVOKE CONNECT ON DATABASE … FROM PUBLIC, and GRANT CONNECT to " +
  "the roles of DATABASE_URL and DATABASE_OWNER_URL.";

async function appliedMigrations(store: Store): Promise<string[]> {
  try {
    const { rows } = await store.run((db) =>
      sql<{ name: string }>`SELECT name FROM kysely_migration ORDER BY name`.execute(db),
    );
    return rows.map(({ name }) => name);
  } catch (error) {
    // Older versions did not grant the service's role this table.
    if (error instanceof InfraError && error.code === "RDEV_FORBIDDEN") throw notMigrated();
    throw error;
  }
}

async function requireQueue(store: Store): Promise<void> {
  const boss = openQueue(store);
  try {
    await boss.start();
  } catch (error) {
    if (error instanceof InfraError) throw error;
    throw new InfraError(
      "RDEV_STORE",
      "The queue's tables are another version's. Run: rdev-infra store migrate. If it has nothing to " +
        "migrate, a newer version created them: start that version.",
      { cause: error },
    );
  } finally {
    await boss.stop({ graceful: false });
  }
}

function notMigrated(missing?: string): InfraError {
  return new InfraError(
    "RDEV_STORE",
    `The database has the schema of an older version${missing ? ` (without ${missing})` : ""}. Set the ` +
      "owner of its tables in DATABASE_OWNER_URL, and run: rdev-infra store migrate",
  );
}
