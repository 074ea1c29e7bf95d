import pg from "pg";
import { type SslMode, sslModeOf } from "../../core/address.ts";
import { connection, ownDatabases } from "../../core/connections.ts";
import { closeToPublic, revokeFromOtherProjects, takeDatabase } from "./access.ts";
import { disableRole, dropRole, endSessionsElsewhere, joinRole, scramVerifier } from "./role.ts";
import { Session } from "./session.ts";

const name = pg.escapeIdentifier;
const text = pg.escapeLiteral;

/** The role and the database with one name. A comment is null if there is none. */
export interface RoleAndDatabase {
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
        /** The owner is an administrator, so no project could write the comment. */
        readonly isAdministrators: boolean;
        /** The role with the same name has its own right to connect. */
        readonly letsRoleIn: boolean;
      }
    | undefined;
}

interface Row {
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

const ROLE_AND_DATABASE = `
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

/** The server, and what the administrator's role may do there. */
interface Examination extends pg.QueryResultRow {
  readonly version: string;
  /** For example 170004 for 17.4. */
  readonly versionNumber: number;
  readonly time: Date;
  readonly role: string;
  readonly isSuperuser: boolean;
  readonly mayCreateRoles: boolean;
  readonly mayCreateDatabases: boolean;
}

const EXAMINATION = `
  SELECT current_setting('server_version') AS version,
         current_setting('server_version_num')::int AS "versionNumber",
         clock_timestamp() AS time, rolname AS role, rolsuper AS "isSuperuser",
         rolcreaterole AS "mayCreateRoles", rolcreatedb AS "mayCreateDatabases"
  FROM pg_roles WHERE rolname = current_user`;

/** A power of a role, as what the role does: `is a superuser`. */
interface Power extends pg.QueryResultRow {
  readonly power: string;
  /** The statement that takes it away. */
  readonly remedy: string;
}

const POWERS = `
  SELECT power, format('ALTER ROLE %I %s', rolname, remedy) AS remedy
  FROM pg_roles, LATERAL (VALUES
    (rolsuper, 'is a superuser', 'NOSUPERUSER'),
    (rolcreaterole, 'may create roles', 'NOCREATEROLE'),
    (rolcreatedb, 'may create databases', 'NOCREATEDB'),
    (rolreplication, 'may replicate', 'NOREPLICATION'),
    (rolbypassrls, 'bypasses row level security', 'NOBYPASSRLS')
  ) AS powers (has, power, remedy)
  WHERE rolname = $1 AND has
  UNION ALL
  SELECT format('is a member of %I', g.rolname), format('REVOKE %I FROM %I', g.rolname, r.rolname)
  FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member JOIN pg_roles g ON g.oid = m.roleid
  WHERE r.rolname = $1`;

const OTHERS_IN_DATABASE = `
  SELECT DISTINCT pg_get_userbyid(c.relowner) AS role
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
    AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND pg_get_userbyid(c.relowner) <> $1
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
  ORDER BY 1`;

/** Databases that are closed to projects, in addition to those of rdev-infra and of Pulumi. */
const SHARED = ["postgres", "template1"];

/**
 * Roles and databases of PostgreSQL 13 or later. The user of POSTGRES_ADMIN_URL must be a superuser, or
 * have CREATEROLE and CREATEDB. A role and its database have the same name.
 */
export class Postgres {
  readonly #url: string;
  readonly #address: string;
  readonly #sessions = new Set<Session>();
  #session!: Session;
  /** The host for projects. An IPv6 address keeps its brackets. */
  readonly host: string;
  readonly port: number;
  /** The parameter in the URL, or "". */
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

  /** Changes nothing. */
  async examine(): Promise<Examination> {
    const [found] = await this.#session.rows<Examination>(EXAMINATION);
    return found!;
  }

  async find(role: string): Promise<RoleAndDatabase> {
    const [row] = await this.#session.rows<Row>(ROLE_AND_DATABASE, [role]);
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

  /** Creates and marks a role in one transaction, so no role lacks its mark. It cannot log in yet. */
  async createRole(role: string, comment: string): Promise<void> {
    await this.#session.inTransaction(
      `CREATE ROLE ${name(role)} NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE`,
      `COMMENT ON ROLE ${name(role)} IS ${text(comment)}`,
    );
  }

  async markRole(role: string, comment: string): Promise<void> {
    await this.#session.run(`COMMENT ON ROLE ${name(role)} IS ${text(comment)}`);
  }

  async markDatabase(database: string, comment: string): Promise<void> {
    await this.#session.run(`COMMENT ON DATABASE ${name(database)} IS ${text(comment)}`);
  }

  /** What a role may do that no project's role may, and the statement that takes it away. */
  powersOf(role: string): Promise<Power[]> {
    return this.#session.rows<Power>(POWERS, [role]);
  }

  /** The other roles that own tables, views or sequences in the role's database. */
  async othersIn(role: string): Promise<string[]> {
    const inside = await this.#open(role);
    const found = await inside.rows<{ role: string }>(OTHERS_IN_DATABASE, [role]);
    return found.map((each) => each.role);
  }

  /** Sets the password and connection limit, and enables the login. */
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
   * Creates the database from template0, because anybody may have left something in template1. It
   * accepts no connections until `setDatabase` has closed it to others.
   */
  async createDatabase(role: string): Promise<void> {
    await joinRole(this.#session, role);
    await this.#session.run(
      `CREATE DATABASE ${name(role)} OWNER ${name(role)} TEMPLATE template0 ENCODING 'UTF8' ` +
        "ALLOW_CONNECTIONS false",
    );
  }

  /** Marks a database, makes the administrator its owner, and lets only its role connect. */
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
    await revokeFromOtherProjects(this.#session, role);
  }

  /**
   * Closes other databases to a role, as far as the administrator may change them, and ends its
   * sessions there. Returns the databases that remain open to every role of the server.
   */
  async closeOtherDatabases(role: string): Promise<readonly string[]> {
    const [here] = await this.#session.rows<{ name: string }>("SELECT current_database() AS name");
    const ours = [...SHARED, ...(here ? [here.name] : []), ...ownDatabases(this.#url)];
    const open = await closeToPublic(this.#session, ours);
    await endSessionsElsewhere(this.#session, role);
    return open;
  }

  /** Keeps role and data under a new mark, disables the role and ends its sessions. */
  async lockOut(role: string, comment: string): Promise<void> {
    await joinRole(this.#session, role);
    await disableRole(this.#session, role);
    const { database } = await this.find(role);
    if (database) await this.setDatabase(role, comment, database.owner);
    await this.markRole(role, comment);
  }

  /** Ends the role's sessions, and drops database and role. */
  async drop(role: string): Promise<void> {
    const found = await this.find(role);
    if (found.role) {
      await joinRole(this.#session, role);
      await disableRole(this.#session, role);
    }
    if (found.database) {
      // A project of an earlier version owns its database, and may have made it a template.
      const mayBeTemplate = found.database.owner === role;
      if (mayBeTemplate) {
        await this.#session.run(`ALTER DATABASE ${name(role)} WITH IS_TEMPLATE false`);
      }
      await this.#session.run(`DROP DATABASE IF EXISTS ${name(role)} WITH (FORCE)`);
    }
    // The role goes last. Its mark lets the next delete continue if this one is interrupted.
    if (found.role) await dropRole(this.#session, (database) => this.#open(database), role);
  }

  async #open(database?: string): Promise<Session> {
    const session = await Session.open(this.#url, this.#address, database);
    this.#sessions.add(session);
    return session;
  }
}
