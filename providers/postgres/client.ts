import pg from "pg";
import { type SslMode, sslModeOf } from "../../core/address.ts";
import { connection } from "../../core/connections.ts";
import { postgresError } from "./errors.ts";
import { scramVerifier } from "./scram.ts";

const name = pg.escapeIdentifier;
const text = pg.escapeLiteral;

/** What stands under one name; a comment is null where there is none. */
export interface Standing {
  readonly role:
    | {
        readonly comment: string | null;
        readonly connectionLimit: number;
        readonly canLogIn: boolean;
      }
    | undefined;
  readonly database: { readonly comment: string | null; readonly owner: string } | undefined;
}

interface StandingRow {
  role: string | null;
  role_comment: string | null;
  connection_limit: number;
  can_log_in: boolean;
  database: string | null;
  database_comment: string | null;
  owner: string;
}

const STANDING = `
  SELECT r.rolname AS role, r.rolconnlimit AS connection_limit,
         r.rolcanlogin AS can_log_in,
         shobj_description(r.oid, 'pg_authid') AS role_comment,
         d.datname AS database, pg_get_userbyid(d.datdba) AS owner,
         shobj_description(d.oid, 'pg_database') AS database_comment
  FROM (SELECT $1::text AS name) wanted
  LEFT JOIN pg_roles r ON r.rolname = wanted.name
  LEFT JOIN pg_database d ON d.datname = wanted.name`;

/**
 * PostgreSQL's roles and databases, 13 or later. The user of POSTGRES_ADMIN_URL is a superuser, or
 * has CREATEROLE and CREATEDB. A role and its database share one name.
 */
export class Postgres {
  readonly #client: pg.Client;
  readonly #address: string;
  /** What a project needs to reach it. An IPv6 address keeps its brackets. */
  readonly host: string;
  readonly port: number;
  /** Of its URL, or "". */
  readonly sslmode: SslMode | "";

  private constructor(url: URL, client: pg.Client) {
    this.host = decodeURIComponent(url.hostname);
    this.port = Number(url.port || 5432);
    this.sslmode = sslModeOf(url);
    this.#address = `${this.host}:${this.port}`;
    this.#client = client;
  }

  /** Errors: RDEV_UNREACHABLE, RDEV_UNAUTHORIZED, RDEV_DEADLINE. */
  static async connect({ url } = connection("postgres")): Promise<Postgres> {
    const client = new pg.Client({
      connectionString: url,
      application_name: "rdev-infra",
      connectionTimeoutMillis: 10_000,
      // Of the server for one statement, and of this side for a server that does not answer.
      statement_timeout: 120_000,
      query_timeout: 130_000,
    });
    // Between two statements nobody else listens; the next statement fails with it.
    client.on("error", () => undefined);
    const postgres = new Postgres(new URL(url), client);
    await postgres.#readable(() => client.connect());
    return postgres;
  }

  async close(): Promise<void> {
    // A polite end waits for the server's answer.
    const late = setTimeout(() => this.#client.connection.stream.destroy(), 1_000);
    await this.#client.end();
    clearTimeout(late);
  }

  async standing(role: string): Promise<Standing> {
    const { rows } = await this.#readable(() => this.#client.query<StandingRow>(STANDING, [role]));
    const row = rows[0];
    return {
      role: row?.role
        ? {
            comment: row.role_comment,
            connectionLimit: row.connection_limit,
            canLogIn: row.can_log_in,
          }
        : undefined,
      database: row?.database ? { comment: row.database_comment, owner: row.owner } : undefined,
    };
  }

  /** Both at once, so that no role is ever without its mark. It cannot log in yet. */
  async createRole(role: string, comment: string): Promise<void> {
    await this.#run(
      "BEGIN",
      `CREATE ROLE ${name(role)} NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE`,
      `COMMENT ON ROLE ${name(role)} IS ${text(comment)}`,
      "COMMIT",
    );
  }

  async setRole(
    role: string,
    settings: { password: string; connectionLimit: number; comment: string },
  ): Promise<void> {
    const verifier = await scramVerifier(settings.password);
    await this.#run(
      "BEGIN",
      `ALTER ROLE ${name(role)} LOGIN CONNECTION LIMIT ${Math.trunc(settings.connectionLimit)} ` +
        `PASSWORD ${text(verifier)}`,
      `COMMENT ON ROLE ${name(role)} IS ${text(settings.comment)}`,
      "COMMIT",
    );
  }

  /** From template0: what somebody left in template1 is not copied. */
  async createDatabase(role: string): Promise<void> {
    await this.#joinRole(role);
    await this.#run(
      `CREATE DATABASE ${name(role)} OWNER ${name(role)} TEMPLATE template0 ENCODING 'UTF8'`,
    );
  }

  /**
   * Closes it to every role but its owner. So its schema `public` needs no rules: nobody else gets
   * that far, and its owner may create there by PostgreSQL's defaults, before 15 and after.
   */
  async setDatabase(role: string, comment: string): Promise<void> {
    await this.#joinRole(role);
    await this.#run(
      `REVOKE ALL ON DATABASE ${name(role)} FROM PUBLIC`,
      `COMMENT ON DATABASE ${name(role)} IS ${text(comment)}`,
    );
  }

  /** Keeps role and data, marks both anew, and ends every use of them. */
  async lockOut(role: string, comment: string): Promise<void> {
    await this.#joinRole(role);
    await this.#run(
      `COMMENT ON DATABASE ${name(role)} IS ${text(comment)}`,
      `COMMENT ON ROLE ${name(role)} IS ${text(comment)}`,
      `ALTER ROLE ${name(role)} NOLOGIN PASSWORD NULL`,
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = ${text(role)}`,
    );
  }

  /** Ends its sessions, and drops database and role. */
  async drop(role: string): Promise<void> {
    await this.#joinRole(role);
    // The role last: it carries the mark by which a drop that was cut short is taken up again.
    await this.#run(
      `ALTER ROLE ${name(role)} NOLOGIN`,
      `DROP DATABASE IF EXISTS ${name(role)} WITH (FORCE)`,
      `DROP ROLE IF EXISTS ${name(role)}`,
    );
  }

  /** Only its members and superusers may give a database to a role, change it or end its sessions. */
  async #joinRole(role: string): Promise<void> {
    const { rows } = await this.#readable(() =>
      this.#client.query<{ rolsuper: boolean; modern: boolean }>(
        `SELECT rolsuper, current_setting('server_version_num')::int >= 160000 AS modern
         FROM pg_roles WHERE rolname = current_user`,
      ),
    );
    const { rolsuper, modern } = rows[0] ?? { rolsuper: true, modern: true };
    if (rolsuper) return;
    // From 16 on a role's maker may grant it, but neither uses nor inherits it unless told.
    const options = modern ? " WITH INHERIT TRUE, SET TRUE" : "";
    await this.#run(`GRANT ${name(role)} TO CURRENT_USER${options}`);
  }

  async #run(...statements: string[]): Promise<void> {
    for (const statement of statements) {
      await this.#readable(() => this.#client.query(statement));
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
