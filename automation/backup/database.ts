import { sql } from "kysely";
import { grant, lockMigrations, migrateTo, MIGRATIONS } from "../store/migrate.ts";
import { requireSchema } from "../store/require-schema.ts";
import type { Schema } from "../store/schema.ts";
import { Store, type StoreTransaction } from "../store/store.ts";
import { type Add, damaged, type Entry, type Manifest, notEmpty } from "./format.ts";

/** Every table, after those that it refers to. The queue is not among them: operations have all it holds. */
const TABLES = Object.keys({
  projects: true,
  api_keys: true,
  audit_log: true,
  audit_outbox: true,
  audit_shipped: true,
  operations: true,
  operation_attempts: true,
  operation_events: true,
  notifications: true,
  notification_deliveries: true,
  rollouts: true,
  rollout_projects: true,
  rollout_events: true,
  drift_runs: true,
  drift: true,
  lifetimes: true,
  forge_deliveries: true,
  pull_request_heads: true,
  preview_requests: true,
  merged_rollouts: true,
} satisfies Record<keyof Schema, true>);

/** Bytes of rows in an entry, before the row that exceeds it. */
const ENTRY_SIZE = 1_000_000;
const ROWS_PER_FETCH = 500;

/**
 * The ids that a restored audit log leaves out after its last event. Events after the backup are lost
 * here, but Citadel may have them: a new event must not get the id of one of those.
 */
const AUDIT_ID_GAP = 10_000;

/**
 * Reads all tables as they are at one moment. `begin` gets the names of the migrations before the first
 * row is added. Rejects with RDEV_STORE if the schema is not this version's, and like `Store.run`.
 */
export async function dumpDatabase(
  store: Store,
  add: Add,
  begin: (migrations: string[]) => Promise<void>,
): Promise<Manifest["rows"]> {
  // A newer version's tables and columns would be missing.
  await requireSchema(store, { newer: 0 });
  return store.run((db) =>
    db
      .transaction()
      .setIsolationLevel("repeatable read")
      .setAccessMode("read only")
      .execute(async (transaction) => {
        const { rows } = await sql<{ name: string }>`
          SELECT name FROM kysely_migration ORDER BY name`.execute(transaction);
        await begin(rows.map(({ name }) => name));
        const counts: Manifest["rows"] = {};
        for (const table of TABLES) counts[table] = await dumpTable(transaction, table, add);
        return counts;
      }),
  );
}

/**
 * PostgreSQL itself writes the rows as JSON, so no type passes through JavaScript. pg_dump is not used:
 * it has to be of the server's version, and its output names roles and needs their rights.
 */
async function dumpTable(transaction: StoreTransaction, table: string, add: Add): Promise<number> {
  let count = 0;
  let entries = 0;
  let lines: string[] = [];
  let size = 0;
  const flush = async () => {
    if (lines.length > 0)
      await add(`database/${table}/${++entries}.jsonl`, `${lines.join("\n")}\n`);
    [lines, size] = [[], 0];
  };
  await sql`
    DECLARE backup CURSOR FOR
    SELECT row_to_json(t)::text AS line FROM ${sql.table(table)} AS t`.execute(transaction);
  for (;;) {
    const { rows } = await sql<{ line: string }>`
      FETCH ${sql.lit(ROWS_PER_FETCH)} FROM backup`.execute(transaction);
    for (const { line } of rows) {
      lines.push(line);
      size += line.length;
      if (size >= ENTRY_SIZE) await flush();
    }
    count += rows.length;
    if (rows.length < ROWS_PER_FETCH) break;
  }
  await flush();
  await sql`CLOSE backup`.execute(transaction);
  return count;
}

/** The tables that have rows, such as `projects: 3 rows`. A database without tables has none. */
export async function rowsPresent(ownerUrl: string): Promise<string[]> {
  const store = new Store({ url: ownerUrl, connections: 1 });
  try {
    return await store.transaction(tablesWithRows);
  } finally {
    await store.close();
  }
}

async function tablesWithRows(transaction: StoreTransaction): Promise<string[]> {
  const found: string[] = [];
  for (const table of TABLES) {
    const { rows: known } = await sql<{ exists: boolean }>`
      SELECT to_regclass(${table}) IS NOT NULL AS exists`.execute(transaction);
    if (!known[0]!.exists) continue;
    const { rows } = await sql<{ count: number }>`
      SELECT count(*) FROM ${sql.table(table)}`.execute(transaction);
    const { count } = rows[0]!;
    if (count > 0) found.push(`the table ${table} has ${count} ${count === 1 ? "row" : "rows"}`);
  }
  return found;
}

interface LoadOptions {
  /** The URL of the role that owns the tables. */
  readonly ownerUrl: string;
  /** The role that the service connects as. */
  readonly serviceRole: string;
  /** The migrations of the rows, in order. */
  readonly migrations: readonly string[];
}

/** Inserts the rows of an entry of the archive. */
type Insert = (entry: Entry) => Promise<void>;

/**
 * Fills a migrated database without rows, in one transaction. It makes the tables as the archive's version had
 * them, lets `fill` insert the rows, which returns how many there must be, and then migrates them like an
 * update of the service. So rows of an older version take the same way as in a database that was
 * updated. `finish` works in the same transaction, on this version's tables.
 *
 * Rejects with RDEV_NOT_EMPTY, with RDEV_BACKUP if rows are missing, and like `Store.run`.
 */
export async function loadDatabase<T>(
  { ownerUrl, serviceRole, migrations }: LoadOptions,
  fill: (insert: Insert) => Promise<Manifest["rows"]>,
  finish: (transaction: StoreTransaction, store: Store) => Promise<T>,
): Promise<T> {
  const store = new Store({ url: ownerUrl, connections: 3 });
  try {
    return await store.transaction(async (transaction) => {
      await lockMigrations(transaction);
      await dropEmptyTables(transaction);
      await migrateTo(transaction, migrations.at(-1)!);
      const counts: Manifest["rows"] = {};
      const wanted = await fill(async (entry) => {
        const { table, lines } = rowsOf(entry);
        await sql`
          INSERT INTO ${sql.table(table)}
          SELECT * FROM json_populate_recordset(NULL::${sql.table(table)}, ${`[${lines.join(",")}]`}::json)`.execute(
          transaction,
        );
        counts[table] = (counts[table] ?? 0) + lines.length;
      });
      requireCounts(counts, wanted);
      await migrateTo(transaction, Object.keys(MIGRATIONS).at(-1)!);
      await grant(transaction, serviceRole);
      await sql`
        SELECT setval(pg_get_serial_sequence('audit_log', 'id'), max(id) + ${sql.lit(AUDIT_ID_GAP)})
        FROM audit_log HAVING count(*) > 0`.execute(transaction);
      return finish(transaction, store);
    });
  } finally {
    await store.close();
  }
}

/** Throws RDEV_NOT_EMPTY if a table has rows. Nobody can add any until the transaction ends. */
async function dropEmptyTables(transaction: StoreTransaction): Promise<void> {
  const tables = sql.join(TABLES.map((table) => sql.table(table)));
  // The migration took the owner's rights on the audit log, and a lock needs them.
  await sql`GRANT ALL ON ${tables} TO CURRENT_USER`.execute(transaction);
  await sql`LOCK TABLE ${tables} IN ACCESS EXCLUSIVE MODE`.execute(transaction);
  const present = await tablesWithRows(transaction);
  if (present.length > 0) throw notEmpty(present);
  await sql`DROP TABLE ${tables}, kysely_migration, kysely_migration_lock`.execute(transaction);
  await sql`DROP FUNCTION refuse_audit_change`.execute(transaction);
}

const DATABASE_ENTRY = /^database\/([a-z_]+)\/\d+\.jsonl$/;

export function isDatabaseEntry({ name }: Entry): boolean {
  return DATABASE_ENTRY.test(name);
}

function rowsOf({ name, content }: Entry): { table: string; lines: string[] } {
  const [, table = ""] = DATABASE_ENTRY.exec(name) ?? [];
  return { table, lines: content.toString().trimEnd().split("\n") };
}

function requireCounts(found: Manifest["rows"], wanted: Manifest["rows"]): void {
  for (const [table, count] of Object.entries(wanted)) {
    const rows = found[table] ?? 0;
    if (rows !== count) throw damaged(`the table ${table} has ${rows} of its ${count} rows`);
  }
}
