import { randomBytes } from "node:crypto";
import pg from "pg";
import { migrate } from "../../automation/store/migrate.ts";
import { Store } from "../../automation/store/store.ts";
import { variable } from "./variables.ts";

/** A migrated database of a test's own. */
export interface TestStore {
  /** As the service's role. */
  readonly store: Store;
  readonly url: string;
  readonly ownerUrl: string;
  readonly serviceRole: string;
  /** Runs a statement as the administrator of the server, whom nothing holds back. */
  admin(statement: string): Promise<Record<string, unknown>[]>;
  /** Lets nobody but the administrator connect, and ends all sessions. */
  cutOff(): Promise<void>;
  reconnect(): Promise<void>;
  /** Ends all sessions, and drops database and roles. */
  drop(): Promise<void>;
}

export async function createTestStore({ migrated = true } = {}): Promise<TestStore> {
  const id = randomBytes(6).toString("hex");
  const [database, owner, serviceRole] = [`store_${id}`, `owner_${id}`, `service_${id}`];
  const server = new URL(variable("POSTGRES_ADMIN_URL"));
  const onServer = (statement: string) => query(server.href, statement);
  await onServer(`CREATE ROLE ${owner} LOGIN PASSWORD 'owner-Passw0rd'`);
  await onServer(`CREATE ROLE ${serviceRole} LOGIN PASSWORD 'service-Passw0rd'`);
  await onServer(`CREATE DATABASE ${database} OWNER ${owner}`);
  const urlOf = (user: string, password: string) =>
    `postgres://${user}:${password}@${server.host}/${database}`;
  const url = urlOf(serviceRole, "service-Passw0rd");
  const ownerUrl = urlOf(owner, "owner-Passw0rd");
  if (migrated) await migrate({ ownerUrl, serviceRole });
  const store = new Store({ url });
  const inside = Object.assign(new URL(server.href), { pathname: `/${database}` }).href;
  return {
    ...{ store, url, ownerUrl, serviceRole },
    admin: (statement) => query(inside, statement),
    async cutOff() {
      await onServer(`ALTER ROLE ${serviceRole} NOLOGIN`);
      await onServer(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '${serviceRole}'`,
      );
    },
    async reconnect() {
      await onServer(`ALTER ROLE ${serviceRole} LOGIN`);
    },
    async drop() {
      await store.close();
      await onServer(`DROP DATABASE ${database} WITH (FORCE)`);
      await onServer(`DROP ROLE ${owner}, ${serviceRole}`);
    },
  };
}

async function query(url: string, statement: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(statement)).rows;
  } finally {
    await client.end();
  }
}
