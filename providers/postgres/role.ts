import { createHash, createHmac, pbkdf2, randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import pg from "pg";
import { InfraError, userMessage } from "../../core/errors.ts";
import type { OpenSession, Session } from "./session.ts";

const name = pg.escapeIdentifier;

/** How often to check whether a role's sessions have ended, and the interval in ms. */
const POLL = { times: 40, interval: 250 };

/** PostgreSQL's default (scram_iterations). */
const SCRAM_ITERATIONS = 4096;

/** Every database where a role owns something or has a right. Shared objects count as the current one. */
const DATABASES_OF_ROLE = `
  SELECT DISTINCT coalesce(d.datname, current_database()) AS database
  FROM pg_shdepend s
  LEFT JOIN pg_database d ON d.oid = s.dbid
  WHERE s.refclassid = 'pg_authid'::regclass
    AND s.refobjid = (SELECT oid FROM pg_roles WHERE rolname = $1)`;

/** Makes the administrator a member of the role. Only members and superusers may manage a role. */
export async function joinRole(session: Session, role: string): Promise<void> {
  const [me] = await session.rows<{ rolsuper: boolean; modern: boolean }>(
    `SELECT rolsuper, current_setting('server_version_num')::int >= 160000 AS modern
     FROM pg_roles WHERE rolname = current_user`,
  );
  if (!me || me.rolsuper) return;
  // From version 16 on, membership alone includes neither SET ROLE nor the role's rights.
  const options = me.modern ? " WITH INHERIT TRUE, SET TRUE" : "";
  await session.run(`GRANT ${name(role)} TO CURRENT_USER${options}`);
}

/** Disables the role's login, and ends its sessions in all databases. Throws RDEV_DEADLINE. */
export async function disableRole(session: Session, role: string): Promise<void> {
  await session.run(`ALTER ROLE ${name(role)} NOLOGIN PASSWORD NULL`);
  for (let polls = 0; polls < POLL.times; polls++) {
    const alive = await session.rows(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1`,
      [role],
    );
    if (alive.length === 0) return;
    await sleep(POLL.interval);
  }
  const alive = await session.rows<{ pid: number; datname: string }>(
    `SELECT pid, datname FROM pg_stat_activity WHERE usename = $1`,
    [role],
  );
  if (alive.length === 0) return;
  throw new InfraError(
    "RDEV_DEADLINE",
    `The role ${role} can no longer log in, but the server did not end its sessions within ` +
      `${(POLL.times * POLL.interval) / 1000} s: ` +
      `${alive.map(({ pid, datname }) => `process ${pid} in database ${datname}`).join(", ")}.`,
  );
}

/** Ends the role's sessions in other databases than its own. */
export async function endSessionsElsewhere(session: Session, role: string): Promise<void> {
  await session.rows(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1 AND datname <> $1`,
    [role],
  );
}

/**
 * Drops a role with everything that it owns and all its rights, in every database. Keeps what others
 * built on top of that, and throws RDEV_REFUSED, which names each database where something remains.
 */
export async function dropRole(session: Session, open: OpenSession, role: string): Promise<void> {
  const databases = await session.rows<{ database: string }>(DATABASES_OF_ROLE, [role]);
  const failures: string[] = [];
  for (const { database } of databases) {
    try {
      await dropOwned(open, database, role);
    } catch (error) {
      failures.push(`in database ${database}: ${userMessage(error)}`);
    }
  }
  if (failures.length > 0) {
    throw new InfraError(
      "RDEV_REFUSED",
      `The role ${role} can no longer log in, but PostgreSQL keeps it for what it left ` +
        `${failures.join("; ")} Remove that as the database's owner, then delete again.`,
    );
  }
  await session.run(`DROP ROLE IF EXISTS ${name(role)}`);
}

async function dropOwned(open: OpenSession, database: string, role: string): Promise<void> {
  const session = await open(database);
  try {
    await session.run(`DROP OWNED BY ${name(role)}`);
  } finally {
    await session.close();
  }
}

/**
 * The verifier that PostgreSQL stores for a password (RFC 5803, src/common/scram-common.c). The server
 * accepts it instead of the password, which therefore appears in neither the connection nor its log.
 * The password must be ASCII, because SASLprep, which is left out here, does not change ASCII.
 */
export async function scramVerifier(password: string, salt = randomBytes(16)): Promise<string> {
  const salted = await promisify(pbkdf2)(password, salt, SCRAM_ITERATIONS, 32, "sha256");
  const hmac = (text: string) => createHmac("sha256", salted).update(text).digest();
  const storedKey = createHash("sha256").update(hmac("Client Key")).digest("base64");
  const serverKey = hmac("Server Key").toString("base64");
  return `SCRAM-SHA-256$${SCRAM_ITERATIONS}:${salt.toString("base64")}$${storedKey}:${serverKey}`;
}
