/** Controls who may connect to a database, and what its role may do there. */
import pRetry from "p-retry";
import pg from "pg";
import { InfraError } from "../../core/errors.ts";
import type { OpenSession, Session } from "./session.ts";

const name = pg.escapeIdentifier;
const text = pg.escapeLiteral;

/** Another run may change the same rights at the same time. Then the server refuses one of them. */
const RACE_RETRIES = 9;

/** Recognizes a project's role by its comment, which only administrators can write. */
const IS_PROJECTS = `coalesce(shobj_description(r.oid, 'pg_authid') ~ 'managed(-by:| by) rdev-infra', false)`;

const OPEN_TO_PUBLIC = `
  SELECT d.datname AS database
  FROM pg_database d, aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a
  WHERE d.datallowconn AND a.grantee = 0 AND a.privilege_type = 'CONNECT'
  ORDER BY 1`;

/** The roles that can connect only because PUBLIC can, except superusers and projects' roles. */
const ROLES_BY_PUBLIC = `
  SELECT r.rolname AS role FROM pg_roles r
  WHERE r.rolcanlogin AND NOT r.rolsuper AND NOT ${IS_PROJECTS} ORDER BY 1`;

const OTHER_PROJECTS_WITH_RIGHTS = `
  SELECT DISTINCT r.rolname AS role
  FROM pg_database d, aclexplode(d.datacl) a JOIN pg_roles r ON r.oid = a.grantee
  WHERE d.datname = $1 AND r.rolname <> $1 AND r.oid <> d.datdba AND ${IS_PROJECTS}`;

/**
 * Revokes CONNECT from PUBLIC in the given databases, so that projects' roles cannot connect. All
 * other existing roles keep the right, by name. Returns the databases that remain open to PUBLIC:
 * those that are not in the list, and those that the administrator may not change.
 */
export async function closeToPublic(
  session: Session,
  databases: readonly string[],
): Promise<string[]> {
  const open = await openToPublic(session);
  const toClose = open.filter((database) => databases.includes(database));
  if (toClose.length === 0) return open;
  for (const database of toClose) {
    await pRetry(() => close(session, database), {
      retries: RACE_RETRIES,
      minTimeout: 50,
      maxTimeout: 500,
      randomize: true,
      shouldRetry: ({ error }) => error instanceof InfraError && /concurrently/.test(error.message),
    });
  }
  return openToPublic(session);
}

/** Revokes all rights of other projects' roles in a project's database. */
export async function revokeFromOtherProjects(session: Session, database: string): Promise<void> {
  const others = await session.rows<{ role: string }>(OTHER_PROJECTS_WITH_RIGHTS, [database]);
  for (const { role } of others) {
    await session.run(`REVOKE ALL ON DATABASE ${name(database)} FROM ${name(role)} CASCADE`);
  }
}

/**
 * Makes the administrator the owner of a role's database. As its owner the role could comment it, make
 * it a template, limit its connections and let others in. The role keeps what applications need: it
 * may create schemas, extensions and temporary tables, and owns the schema `public`.
 *
 * The mark is written before the owner changes, so a database that its role owns is always one that
 * was not taken over completely.
 */
export async function takeDatabase(
  session: Session,
  open: OpenSession,
  role: string,
  comment: string,
): Promise<void> {
  await session.run(
    `REVOKE ALL ON DATABASE ${name(role)} FROM PUBLIC`,
    `COMMENT ON DATABASE ${name(role)} IS ${text(comment)}`,
    `ALTER DATABASE ${name(role)} WITH IS_TEMPLATE false ALLOW_CONNECTIONS true CONNECTION LIMIT -1`,
  );
  await givePublicSchema(open, role);
  await session.inTransaction(
    `ALTER DATABASE ${name(role)} OWNER TO CURRENT_USER`,
    `GRANT CONNECT, CREATE, TEMPORARY ON DATABASE ${name(role)} TO ${name(role)}`,
  );
}

/** Before PostgreSQL 15, every role may create in `public`, and only a superuser can change its owner. */
async function givePublicSchema(open: OpenSession, role: string): Promise<void> {
  const inside = await open(role);
  try {
    const [schema] = await inside.rows<{ isOurs: boolean }>(
      `SELECT pg_has_role(current_user, nspowner, 'USAGE') AS "isOurs"
       FROM pg_namespace WHERE nspname = 'public'`,
    );
    if (schema?.isOurs) await inside.run(`ALTER SCHEMA public OWNER TO ${name(role)}`);
  } finally {
    await inside.close();
  }
}

async function openToPublic(session: Session): Promise<string[]> {
  const found = await session.rows<{ database: string }>(OPEN_TO_PUBLIC);
  return found.map(({ database }) => database);
}

async function close(session: Session, database: string): Promise<void> {
  const roles = await session.rows<{ role: string }>(ROLES_BY_PUBLIC);
  const grants = roles.map(
    ({ role }) => `GRANT CONNECT ON DATABASE ${name(database)} TO ${name(role)}`,
  );
  try {
    await session.inTransaction(
      ...grants,
      `REVOKE CONNECT ON DATABASE ${name(database)} FROM PUBLIC`,
    );
  } catch (error) {
    // The administrator may not change this database, so it is reported as open.
    if (!(error instanceof InfraError && error.code === "RDEV_FORBIDDEN")) throw error;
  }
}
