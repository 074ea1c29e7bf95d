import pg from "pg";
import { postgresError } from "./errors.ts";

/** How long one statement may wait for a lock: what holds it is then named, instead of waited for. */
const LOCK_TIMEOUT = "30s";

/** The administrator's connection to one database. It throws InfraErrors. */
export class Session {
  readonly #client: pg.Client;
  readonly #address: string;

  private constructor(client: pg.Client, address: string) {
    this.#client = client;
    this.#address = address;
  }

  /** `database` is another one than the URL names. Errors: RDEV_UNREACHABLE, RDEV_UNAUTHORIZED, RDEV_DEADLINE. */
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
      // The server limits a statement; this side limits the wait for a server that does not answer.
      statement_timeout: 120_000,
      query_timeout: 130_000,
    });
    // Between two statements nobody else listens; the next statement fails with it.
    client.on("error", () => undefined);
    const session = new Session(client, address);
    await session.#readable(() => client.connect());
    try {
      // What a database's owner set for all of its sessions must not decide what a name means here.
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
    // A polite end waits for the server's answer.
    const late = setTimeout(() => this.#client.connection.stream.destroy(), 1_000);
    await this.#client.end();
    clearTimeout(late);
  }

  async rows<T extends pg.QueryResultRow>(statement: string, values: unknown[] = []): Promise<T[]> {
    const { rows } = await this.#readable(() => this.#client.query<T>(statement, values));
    return rows;
  }

  async run(...statements: readonly string[]): Promise<void> {
    for (const statement of statements) {
      await this.#readable(() => this.#client.query(statement));
    }
  }

  /** All or nothing. */
  async atOnce(...statements: readonly string[]): Promise<void> {
    try {
      await this.run("BEGIN", ...statements, "COMMIT");
    } catch (error) {
      await this.run("ROLLBACK").catch(() => undefined);
      throw error;
    }
  }

  async #readable<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw postgresError(error, this.#address);
    }
  }
}
