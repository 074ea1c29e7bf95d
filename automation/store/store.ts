import { Kysely, PostgresDialect, type Transaction } from "kysely";
import pg from "pg";
import { connection } from "../../core/connections.ts";
import { storeError } from "./errors.ts";
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

  constructor({ url, connections = 8 }: StoreOptions = connection("database")) {
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
