import pg from "pg";
import { postgresError } from "./errors.ts";

/** How long a statement waits for a lock. After that the server's error names who holds it. */
const LOCK_TIMEOUT = "30s";

/** Opens the administrator's connection to another database. */
export type OpenSession = (database: string) => Promise<Session>;

/** The administrator's connection to one database. Throws InfraErrors. */
export class Session {
  readonly #client: pg.Client;
  readonly #address: string;

  private constructor(client: pg.Client, address: string) {
    this.#client = client;
    this.#address = address;
  }

  /**
   * Connects to `database`, by default the one that the URL names. Errors: RDEV_UNREACHABLE,
   * RDEV_UNAUTHORIZED, RDEV_DEADLINE.
   */
  static async open(
    connectionString: string,
    address: string,
    database?: string,
  ): Promise<Session> {
    const url = new URL(connectionString);
    if (database !== undefined) url.pathname = `/${encodeURIComponent(database)}`;
    const client = new pg.Client({
      connectionString: url.href,
      application_name: "rdev-infra",
      connectionTimeoutMillis: 10_000,
      // The server enforces the first limit. The second one is for a server that does not answer.
      statement_timeout: 120_000,
      query_timeout: 130_000,
    });
    // Without a listener, an error between two statements would crash the process. The next statement
    // fails with it anyway.
    client.on("error", () => undefined);
    const session = new Session(client, address);
    await session.#withInfraErrors(() => client.connect());
    try {
      // Undoes what a database's owner may have set for all sessions, such as what a name means.
      await session.run(
        "SET search_path = pg_catalog",
        "SET ROLE NONE",
        "SET default_transaction_read_only = off",
        `SET lock_timeout = '${LOCK_TIMEOUT}'`,
      );
    } catch (error) {
      await session.close();
      throw error;
    }
    return session;
  }

  async close(): Promise<void> {
    // `end` waits for the server, which may not answer.
    const timer = setTimeout(() => this.#client.connection.stream.destroy(), 1_000);
    await this.#client.end();
    clearTimeout(timer);
  }

  async rows<T extends pg.QueryResultRow>(statement: string, values: unknown[] = []): Promise<T[]> {
    const { rows } = await this.#withInfraErrors(() => this.#client.query<T>(statement, values));
    return rows;
  }

  async run(...statements: readonly string[]): Promise<void> {
    for (const statement of statements) {
      await this.#withInfraErrors(() => this.#client.query(statement));
    }
  }

  async inTransaction(...statements: readonly string[]): Promise<void> {
    try {
      await this.run("BEGIN", ...statements, "COMMIT");
    } catch (error) {
      await this.run("ROLLBACK").catch(() => undefined);
      throw error;
    }
  }

  async #withInfraErrors<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw postgresError(error, this.#address);
    }
  }
}
