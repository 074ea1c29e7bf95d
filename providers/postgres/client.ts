import pg from "pg";
import { type SslMode, sslModeOf } from "../../core/address.ts";
import { connection, ownDatabases } from "../../core/connections.ts";
import { closeDoors, sendNeighboursAway } from "./doors.ts";
import { takeDatabase } from "./handover.ts";
import { dropDatabase, dropRole } from "./removal.ts";
import { endStrays, joinRole, shutOut } from "./role.ts";
import { scramVerifier } from "./scram.ts";
import { Session } from "./session.ts";

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
  readonly database:
    | {
        readonly comment: string | null;
        readonly owner: string;
        /** Its owner is an administrator, so no project wrote its comment. */
        readonly isAdministrators: boolean;
        /** The role of its name may connect by a right of its own. */
        readonly letsRoleIn: boolean;
      }
    | undefined;
}

interface StandingRow {
  role: string | null;
  role_comment: string | null;
  connection_limit: number;
  can_log_in: boolean;
  database: string | null;
  database_comment: string | null;
  owner: string;
  is_administrators: boolean;
  lets_role_in: boolean;
}

const STANDING = `
  SELECT r.rolname AS role, r.rolconnlimit AS connection_limit,
         r.rolcanlogin AS can_log_in,
         shobj_description(r.oid, 'pg_authid') AS role_comment,
         d.datname AS database, o.rolname AS owner,
         o.rolname = current_user OR o.rolsuper OR o.rolcreaterole AS is_administrators,
         EXISTS (
           SELECT FROM aclexplode(d.datacl)
           WHERE grantee = r.oid AND privilege_type = 'CONNECT'
         ) AS lets_role_in,
         shobj_description(d.oid, 'pg_database') AS database_comment
  FROM (SELECT $1::text AS name) wanted
  LEFT JOIN pg_roles r ON r.rolname = wanted.name
  LEFT JOIN pg_database d ON d.datname = wanted.name
  LEFT JOIN pg_roles o ON o.oid = d.datdba`;

/** The databases that are always closed to projects, beside those of rdev-infra and of Pulumi. */
const SHARED = ["postgres", "template1"];

/**
 * PostgreSQL's roles and databases, 13 or later. The user of POSTGRES_ADMIN_URL is a superuser, or
 * has CREATEROLE and CREATEDB. A role and its database share one name.
 */
export class Postgres {
  readonly #url: string;
  readonly #address: string;
  readonly #sessions = new Set<Session>();
  #session!: Session;
  /** What a project needs to reach it. An IPv6 address keeps its brackets. */
  readonly host: string;
  readonly port: number;
  /** The parameter in its URL, or "". */
  readonly sslmode: SslMode | "";

  private constructor(connectionString: string) {
    const url = new URL(connectionString);
    this.host = decodeURIComponent(url.hostname);
    this.port = Number(url.port || 5432);
    this.sslmode = sslModeOf(url);
    this.#address = `${this.host}:${this.port}`;
    this.#url = connectionString;
  }

  /** Errors: RDEV_UNREACHABLE, RDEV_UNAUTHORIZED, RDEV_DEADLINE. */
  static async connect({ url } = connection("postgres")): Promise<Postgres> {
    const postgres = new Postgres(url);
    postgres.#session = await postgres.#open();
    return postgres;
  }

  async close(): Promise<void> {
    await Promise.all([...this.#sessions].map((session) => session.close()));
  }

  async standing(role: string): Promise<Standing> {
    const [row] = await this.#session.rows<StandingRow>(STANDING, [role]);
    return {
      role: row?.role
        ? {
            comment: row.role_comment,
            connectionLimit: row.connection_limit,
            canLogIn: row.can_log_in,
          }
        : undefined,
      database: row?.database
        ? {
            comment: row.database_comment,
            owner: row.owner,
            isAdministrators: row.is_administrators,
            letsRoleIn: row.lets_role_in,
          }
        : undefined,
    };
  }

  /** Both at once, so that no role is ever without its mark. It cannot log in yet. */
  async createRole(role: string, comment: string): Promise<void> {
    await this.#session.atOnce(
      `CREATE ROLE ${name(role)} NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE`,
      `COMMENT ON ROLE ${name(role)} IS ${text(comment)}`,
    );
  }

  async markRole(role: string, comment: string): Promise<void> {
    await this.#session.run(`COMMENT ON ROLE ${name(role)} IS ${text(comment)}`);
  }

  /** Lets it log in. */
  async setRole(
    role: string,
    settings: { password: string; connectionLimit: number },
  ): Promise<void> {
    const verifier = await scramVerifier(settings.password);
    await this.#session.run(
      `ALTER ROLE ${name(role)} LOGIN CONNECTION LIMIT ${Math.trunc(settings.connectionLimit)} ` +
        `PASSWORD ${text(verifier)}`,
    );
  }

  /**
   * From template0: what somebody left in template1 is not copied. It lets nobody in before
   * `setDatabase` has closed it to others.
   */
  async createDatabase(role: string): Promise<void> {
    await joinRole(this.#session, role);
    await this.#session.run(
      `CREATE DATABASE ${name(role)} OWNER ${name(role)} TEMPLATE template0 ENCODING 'UTF8' ` +
        "ALLOW_CONNECTIONS false",
    );
  }

  /** Marks a database, makes it the administrator's and lets in nobody but its role. */
  async setDatabase(role: string, comment: string, owner = role): Promise<void> {
    await joinRole(this.#session, role);
    if (owner === role) {
      await takeDatabase(this.#session, (database) => this.#open(database), role, comment);
    } else {
      await this.#session.run(
        `REVOKE ALL ON DATABASE ${name(role)} FROM PUBLIC`,
        `COMMENT ON DATABASE ${name(role)} IS ${text(comment)}`,
        `GRANT CONNECT, CREATE, TEMPORARY ON DATABASE ${name(role)} TO ${name(role)}`,
      );
    }
    await sendNeighboursAway(this.#session, role);
  }

  /**
   * Keeps a role out of every database that is not its own, as far as the administrator decides
   * that. The databases that stay open to all roles of the server.
   */
  async keepAtHome(role: string): Promise<readonly string[]> {
    const [here] = await this.#session.rows<{ name: string }>("SELECT current_database() AS name");
    const ours = [...SHARED, ...(here ? [here.name] : []), ...ownDatabases(this.#url)];
    const open = await closeDoors(this.#session, ours);
    await endStrays(this.#session, role);
    return open;
  }

  /** Keeps role and data, marks both anew, and ends every use of them. */
  async lockOut(role: string, comment: string): Promise<void> {
    await joinRole(this.#session, role);
    await shutOut(this.#session, role);
    const { database } = await this.standing(role);
    if (database) await this.setDatabase(role, comment, database.owner);
    await this.markRole(role, comment);
  }

  /** Ends its sessions, and drops database and role. */
  async drop(role: string): Promise<void> {
    const found = await this.standing(role);
    if (found.role) {
      await joinRole(this.#session, role);
      await shutOut(this.#session, role);
    }
    if (found.database) {
      await dropDatabase(this.#session, role, found.database.owner === role);
    }
    // The role last: it carries the mark by which a drop that was cut short is taken up again.
    if (found.role) await dropRole(this.#session, (database) => this.#open(database), role);
  }

  async #open(database?: string): Promise<Session> {
    const session = await Session.open(this.#url, this.#address, database);
    this.#sessions.add(session);
    return session;
  }
}
