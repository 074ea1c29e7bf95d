import pg from "pg";
import { InfraError, userMessage } from "../../core/errors.ts";
import type { Session } from "./session.ts";

const name = pg.escapeIdentifier;

/** Opens the administrator's connection to another database. */
export type Open = (database: string) => Promise<Session>;

/** Where a role still owns something or holds a right. What all databases share counts as in ours. */
const PLACES = `
  SELECT DISTINCT coalesce(d.datname, current_database()) AS place
  FROM pg_shdepend s
  LEFT JOIN pg_database d ON d.oid = s.dbid
  WHERE s.refclassid = 'pg_authid'::regclass
    AND s.refobjid = (SELECT oid FROM pg_roles WHERE rolname = $1)`;

/** Drops a database that nobody uses any more. A tenant of the versions before may have made it a template. */
export async function dropDatabase(
  session: Session,
  database: string,
  isTenants: boolean,
): Promise<void> {
  if (isTenants) await session.run(`ALTER DATABASE ${name(database)} WITH IS_TEMPLATE false`);
  await session.run(`DROP DATABASE IF EXISTS ${name(database)} WITH (FORCE)`);
}

/**
 * Drops a role with what it owns and may do in any database. It takes nothing along that others
 * built on it. Throws RDEV_REFUSED, which names each place where something could not go.
 */
export async function dropRole(session: Session, open: Open, role: string): Promise<void> {
  const places = await session.rows<{ place: string }>(PLACES, [role]);
  const kept: string[] = [];
  for (const { place } of places) {
    try {
      await dropOwned(open, place, role);
    } catch (error) {
      kept.push(`in database ${place}: ${userMessage(error)}`);
    }
  }
  if (kept.length > 0) {
    throw new InfraError(
      "RDEV_REFUSED",
      `The role ${role} can no longer log in, but PostgreSQL keeps it for what it left ` +
        `${kept.join("; ")} Remove that as the database's owner, then delete again.`,
    );
  }
  await session.run(`DROP ROLE IF EXISTS ${name(role)}`);
}

async function dropOwned(open: Open, place: string, role: string): Promise<void> {
  const session = await open(place);
  try {
    await session.run(`DROP OWNED BY ${name(role)}`);
  } finally {
    await session.close();
  }
}
