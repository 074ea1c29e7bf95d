import { Kysely, PostgresDialect, sql, type Transaction } from "kysely";
import pg from "pg";
import { connection } from "../../core/connections.ts";
import { storeError } from "./errors.ts";
import { Listener } from "./listener.ts";
import type { Schema } from "./schema.ts";

export type StoreTransaction = Transaction<Schema>;

export interface StoreOptions {
  readonly url: string;
  /** Connections that are open at most. Default: 8. */
  readonly connections?: number;
}

/** The service's own PostgreSQL database. Nothing is connected before the first statement. */
export class Store {
  readonly #db: Kysely<Schema>;
  readonly #address: string;
  readonly #url: string;

  constructor({ url, connections = 8 }: StoreOptions = connection("database")) {
    this.#url = url;
    const { hostname, port } = new URL(url);
    this.#address = `${hostname}:${port || 5432}`;
    this.#db = new Kysely<Schema>({
      dialect: new PostgresDialect({ pool: createPool(url, connections) }),
    });
  }

  /** Rejects with RDEV_UNREACHABLE, RDEV_UNAUTHORIZED, RDEV_FORBIDDEN, RDEV_DEADLINE, RDEV_STORE. */
  async run<T>(work: (db: Kysely<Schema>) => Promise<T>): Promise<T> {
    try {
      return await work(this.#db);
    } catch (error) {
      throw storeError(error, this.#address);
    }
  }

  /** All of the work or none of it. Rejects as `run`, and with what `work` throws. */
  transaction<T>(work: (transaction: StoreTransaction) => Promise<T>): Promise<T> {
    return this.run((db) => db.transaction().execute(work));
  }

  /** As `transaction`, and no two of one name at once, whoever works on this database. */
  exclusively<T>(name: string, work: (transaction: StoreTransaction) => Promise<T>): Promise<T> {
    return this.run((db) =>
      db.connection().execute(async (one) => {
        // Before the transaction begins: its time then tells the order.
        await sql`SELECT pg_advisory_lock(hashtextextended(${name}, 0))`.execute(one);
        try {
          return await one.transaction().execute(work);
        } finally {
          await sql`SELECT pg_advisory_unlock(hashtextextended(${name}, 0))`.execute(one);
        }
      }),
    );
  }

  /** Hears what `pg_notify` tells on a channel, on a connection of its own. */
  listen(channel: string, hear: (payload: string) => void): Listener {
    return new Listener(this.#url, channel, hear);
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
    // Of the server for one statement, and of this side for a server that does not answer.
    statement_timeout: 30_000,
    query_timeout: 40_000,
    // A process that hangs must not hold the audit log's locks for ever.
    idle_in_transaction_session_timeout: 60_000,
    types,
  });
  // A connection that ends while nobody waits for it would end the process; its next use fails.
  pool.on("error", () => undefined);
  pool.on("connect", (client) => client.on("error", () => undefined));
  return pool;
}

/** Whole numbers as such, not as text: none here is near 2^53. */
const types = new pg.TypeOverrides();
types.setTypeParser(pg.types.builtins.INT8, Number);
