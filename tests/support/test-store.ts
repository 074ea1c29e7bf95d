import { randomBytes } from "node:crypto";
import { migrate } from "../../automation/store/migrate.ts";
import { Store } from "../../automation/store/store.ts";
import {
  createStoreDatabase,
  queryOnce,
  type StoreDatabase,
} from "../../sandbox/store-database.ts";
import { variable } from "./variables.ts";

/** A test's own migrated database. */
export interface TestStore extends StoreDatabase {
  /** Connects as the service's role. */
  readonly store: Store;
  /** Runs a statement as the administrator of the server. */
  admin(statement: string): Promise<Record<string, unknown>[]>;
  /** Permits only the administrator to connect, and ends all sessions. */
  cutOff(): Promise<void>;
  reconnect(): Promise<void>;
  /** Ends all sessions, and drops the database and its roles. */
  drop(): Promise<void>;
}

export async function createTestStore({ migrated = true } = {}): Promise<TestStore> {
  const name = `store_${randomBytes(6).toString("hex")}`;
  const server = variable("POSTGRES_ADMIN_URL");
  const database = await createStoreDatabase(server, name, () => "planted-Passw0rd");
  if (migrated) await migrate(database);
  const { serviceRole } = database;
  const store = new Store({ url: database.url });
  const inside = Object.assign(new URL(server), { pathname: `/${name}` }).href;
  return {
    ...database,
    store,
    admin: (statement) => queryOnce(inside, statement),
    async cutOff() {
      await queryOnce(server, `ALTER ROLE ${serviceRole} NOLOGIN`);
      await queryOnce(
        server,
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '${serviceRole}'`,
      );
    },
    async reconnect() {
      await queryOnce(server, `ALTER ROLE ${serviceRole} LOGIN`);
    },
    async drop() {
      await store.close();
      await dropStoreDatabase(server, name);
    },
  };
}

/** Ends all sessions of a database, and drops it and its roles. */
export async function dropStoreDatabase(server: string, name: string): Promise<void> {
  await queryOnce(server, `DROP DATABASE ${name} WITH (FORCE)`);
  // Projects that came up meanwhile granted these roles CONNECT on the server's own databases.
  await queryOnce(server, `DROP OWNED BY ${name}, ${name}_owner`);
  await queryOnce(server, `DROP ROLE ${name}, ${name}_owner`);
}
