import { Kysely, PostgresDialect, type RawBuilder, sql, type Transaction } from "kysely";
import pg from "pg";
import { connection } from "../../core/connections.ts";
import { storeError } from "./errors.ts";
import { Listener } from "./listener.ts";
import type { Schema } from "./schema.ts";

export type StoreTransaction = Transaction<Schema>;

interface StoreOptions {
  readonly url: string;
  /** Maximum size of the connection pool. Default: 8. */
  readonly connections?: number;
}

/** The service's PostgreSQL database. It connects at the first statement. */
export class Store {
  readonly #pool: pg.Pool;
  readonly #db: Kysely<Schema>;
  readonly #address: string;
  readonly #url: string;

  constructor({ url, connections = 8 }: StoreOptions = connection("database")) {
    this.#url = url;
    const { hostname, port } = new URL(url);
    this.#address = `${hostname}:${port || 5432}`;
    this.#pool = createPool(url, connections);
    this.#db = new Kysely<Schema>({ dialect: new PostgresDialect({ pool: this.#pool }) });
  }

  /** Rejects with RDEV_UNREACHABLE, RDEV_UNAUTHORIZED, RDEV_FORBIDDEN, RDEV_DEADLINE, RDEV_STORE. */
  async run<T>(work: (db: Kysely<Schema>) => Promise<T>): Promise<T> {
    try {
      return await work(this.#db);
    } catch (error) {
      throw storeError(error, this.#address);
    }
  }

  /**
   * Runs a statement that each connection parses once and PostgreSQL plans once. A name stands for one
   * text. The statement names its columns: `*` would fail in a running service when a later version's
   * migration adds one. Rejects like `run`.
   */
  prepared<T extends object>(name: string, statement: RawBuilder<T>): Promise<T[]> {
    return this.run(async (db) => {
      const { sql: text, parameters } = statement.compile(db);
      return (await this.#pool.query<T>({ name, text, values: [...parameters] })).rows;
    });
  }

  /** Runs the work in a transaction. Rejects like `run`, and with what `work` throws. */
  transaction<T>(work: (transaction: StoreTransaction) => Promise<T>): Promise<T> {
    return this.run((db) => db.transaction().execute(work));
  }

  /** Like `transaction`, but only one transaction of a name runs at a time, across all processes. */
  exclusively<T>(name: string, work: (transaction: StoreTransaction) => Promise<T>): Promise<T> {
    return this.run((db) =>
      db.connection().execute(async (session) => {
        // The lock is taken before the transaction begins, so that now() in it follows the order of the
        // lock.
        await sql`SELECT pg_advisory_lock(hashtextextended(${name}, 0))`.execute(session);
        try {
          return await session.transaction().execute(work);
        } finally {
          await sql`SELECT pg_advisory_unlock(hashtextextended(${name}, 0))`.execute(session);
        }
      }),
    );
  }

  /**
   * Runs the work unless work of the same name runs already, in any process. Then it returns undefined at
   * once. The work may take long: no transaction is open meanwhile.
   */
  unlessRunning<T>(name: string, work: () => Promise<T>): Promise<T | undefined> {
    return this.run((db) =>
      db.connection().execute(async (session) => {
        const { rows } = await sql<{ isFree: boolean }>`
          SELECT pg_try_advisory_lock(hashtextextended(${name}, 0)) AS "isFree"`.execute(session);
        if (!rows[0]!.isFree) return undefined;
        try {
          return await work();
        } finally {
          await sql`SELECT pg_advisory_unlock(hashtextextended(${name}, 0))`.execute(session);
        }
      }),
    );
  }

  /** Listens for `pg_notify` on a channel, with a dedicated connection. */
  listen(channel: string, onNotification: (payload: string) => void): Listener {
    return new Listener(this.#url, channel, onNotification);
  }

  close(): Promise<void> {
    return this.#db.destroy();
  }
}

function createPool(url: string, max: number): pg.Pool {
  const pool = new pg.Pool({
    connectionString: url,
    max,
    application_name: "rdev-infra",
    connectionTimeoutMillis: 10_000,
    // The server enforces the first. The second applies if the server does not answer.
    statement_timeout: 30_000,
    query_timeout: 40_000,
    // A process that hangs must not hold the audit log's lock forever.
    idle_in_transaction_session_timeout: 60_000,
    types,
  });
  // An unhandled error event of an idle connection would end the process. Its next use fails anyway.
  pool.on("error", () => undefined);
  pool.on("connect", (client) => client.on("error", () => undefined));
  return pool;
}

/** bigint columns as numbers instead of text. No value in this database is near 2^53. */
const types = new pg.TypeOverrides();
types.setTypeParser(pg.types.builtins.INT8, Number);
