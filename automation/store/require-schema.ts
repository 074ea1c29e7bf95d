import { sql } from "kysely";
import { InfraError } from "../../core/errors.ts";
import { MIGRATIONS } from "./migrations.ts";
import { openQueue } from "./queue.ts";
import type { Store } from "./store.ts";

/** Throws RDEV_STORE where the tables are not exactly this version's. Changes nothing. */
export async function requireSchema(store: Store): Promise<void> {
  const applied = await appliedMigrations(store);
  const missing = Object.keys(MIGRATIONS).filter((name) => !applied.includes(name));
  const unknown = applied.filter((name) => !(name in MIGRATIONS));
  if (unknown.length > 0) {
    throw new InfraError(
      "RDEV_STORE",
      `The database was migrated by a newer version of rdev-infra (${unknown.join(", ")} is not ` +
        "known here). Start that version, or a newer one.",
    );
  }
  if (missing.length > 0) throw older(missing.join(", "));
  await requireQueue(store);
}

/**
 * Throws RDEV_STORE where the role of DATABASE_URL could take down what protects the audit log: it owns
 * it, or is a superuser.
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
    `The role "${role}" of DATABASE_URL owns the audit log, or is a superuser, so the service could ` +
      "change what it may only add to. Make it a role of its own (CREATE ROLE rdev_infra LOGIN " +
      "PASSWORD '…'), name that one in DATABASE_URL and the owner in DATABASE_OWNER_URL, and run: " +
      "rdev-infra store migrate",
  );
}

/** Whether roles that have nothing to do with rdev-infra may connect to its database. */
export async function isOpenToAll(store: Store): Promise<boolean> {
  const { rows } = await store.run((db) =>
    sql<{ open: boolean }>`
      SELECT has_database_privilege('public', current_database(), 'CONNECT') AS open`.execute(db),
  );
  return rows[0]!.open;
}

/** What a person does where the owner of the tables is not the owner of the database. */
export const OPEN_TO_ALL =
  "Every role of the PostgreSQL server may connect to rdev-infra's database, and could hold its " +
  "locks. As the database's owner: REVOKE CONNECT ON DATABASE … FROM PUBLIC, and GRANT CONNECT to " +
  "the roles of DATABASE_URL and DATABASE_OWNER_URL.";

async function appliedMigrations(store: Store): Promise<string[]> {
  try {
    const { rows } = await store.run((db) =>
      sql<{ name: string }>`SELECT name FROM kysely_migration ORDER BY name`.execute(db),
    );
    return rows.map(({ name }) => name);
  } catch (error) {
    // Versions before this check gave the service's role no right to look.
    if (error instanceof InfraError && error.code === "RDEV_FORBIDDEN") throw older();
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
      "The queue's tables are another version's. Run: rdev-infra store migrate. Where that says that " +
        "there is nothing to migrate, a newer version made them: start that one.",
      { cause: error },
    );
  } finally {
    await boss.stop({ graceful: false });
  }
}

function older(missing?: string): InfraError {
  return new InfraError(
    "RDEV_STORE",
    `The database is as an older version left it${missing ? ` (without ${missing})` : ""}. Run, with ` +
      "the owner of its tables in DATABASE_OWNER_URL: rdev-infra store migrate",
  );
}
