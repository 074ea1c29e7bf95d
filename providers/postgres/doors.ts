import { setTimeout as pause } from "node:timers/promises";
import pg from "pg";
import { InfraError } from "../../core/errors.ts";
import type { Session } from "./session.ts";

const name = pg.escapeIdentifier;

/** How often a change of rights is tried that another run makes at the same time. */
const TRIES = 10;

/** By their comments, which only administrators can write. */
const IS_PROJECTS = `coalesce(shobj_description(r.oid, 'pg_authid') ~ 'managed(-by:| by) rdev-infra', false)`;

const OPEN_TO_ALL = `
  SELECT d.datname AS database
  FROM pg_database d, aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a
  WHERE d.datallowconn AND a.grantee = 0 AND a.privilege_type = 'CONNECT'
  ORDER BY 1`;

/** Whoever may connect today because all may, and is neither a project's role nor a superuser. */
const GUESTS = `
  SELECT r.rolname AS role FROM pg_roles r
  WHERE r.rolcanlogin AND NOT r.rolsuper AND NOT ${IS_PROJECTS} ORDER BY 1`;

const PROJECTS_LET_IN = `
  SELECT DISTINCT r.rolname AS role
  FROM pg_database d, aclexplode(d.datacl) a JOIN pg_roles r ON r.oid = a.grantee
  WHERE d.datname = $1 AND r.rolname <> $1 AND r.oid <> d.datdba AND ${IS_PROJECTS}`;

/**
 * Closes databases to the roles of projects, which come in wherever all may. Roles that exist keep
 * their way in, by name. The databases that stay open to all: strangers', and those that the
 * administrator may not close.
 */
export async function closeDoors(session: Session, ours: readonly string[]): Promise<string[]> {
  const open = await openToAll(session);
  const toClose = open.filter((database) => ours.includes(database));
  if (toClose.length === 0) return open;
  for (const database of toClose) await patiently(() => close(session, database));
  return openToAll(session);
}

/** Takes rights in a project's database from the roles of other projects. */
export async function sendNeighboursAway(session: Session, database: string): Promise<void> {
  const neighbours = await session.rows<{ role: string }>(PROJECTS_LET_IN, [database]);
  for (const { role } of neighbours) {
    await session.run(`REVOKE ALL ON DATABASE ${name(database)} FROM ${name(role)} CASCADE`);
  }
}

async function openToAll(session: Session): Promise<string[]> {
  const found = await session.rows<{ database: string }>(OPEN_TO_ALL);
  return found.map(({ database }) => database);
}

async function close(session: Session, database: string): Promise<void> {
  const guests = await session.rows<{ role: string }>(GUESTS);
  const grants = guests.map(
    ({ role }) => `GRANT CONNECT ON DATABASE ${name(database)} TO ${name(role)}`,
  );
  try {
    await session.atOnce(...grants, `REVOKE CONNECT ON DATABASE ${name(database)} FROM PUBLIC`);
  } catch (error) {
    // Not the administrator's to close. It is told as open.
    if (!(error instanceof InfraError && error.code === "RDEV_FORBIDDEN")) throw error;
  }
}

/** Two runs that change one database's rights at the same time: the server refuses one of them. */
async function patiently(work: () => Promise<void>): Promise<void> {
  for (let tried = 1; ; tried++) {
    try {
      await work();
      return;
    } catch (error) {
      const isRace = error instanceof InfraError && /concurrently/.test(error.message);
      if (!isRace || tried === TRIES) throw error;
      await pause(50 * tried * Math.random());
    }
  }
}
