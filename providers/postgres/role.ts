import { setTimeout as pause } from "node:timers/promises";
import pg from "pg";
import { InfraError } from "../../core/errors.ts";
import type { Session } from "./session.ts";

const name = pg.escapeIdentifier;

/** How often, and in ms how far apart, the server is asked whether a role's sessions have ended. */
const ASKED = { times: 40, every: 250 };

/** Only its members and superusers may give a database to a role, change it or end its sessions. */
export async function joinRole(session: Session, role: string): Promise<void> {
  const [me] = await session.rows<{ rolsuper: boolean; modern: boolean }>(
    `SELECT rolsuper, current_setting('server_version_num')::int >= 160000 AS modern
     FROM pg_roles WHERE rolname = current_user`,
  );
  if (!me || me.rolsuper) return;
  // From 16 on a role's maker may grant it, but neither uses nor inherits it unless told.
  const options = me.modern ? " WITH INHERIT TRUE, SET TRUE" : "";
  await session.run(`GRANT ${name(role)} TO CURRENT_USER${options}`);
}

/** Takes its login away, and then ends its sessions in every database. Throws RDEV_DEADLINE. */
export async function shutOut(session: Session, role: string): Promise<void> {
  await session.run(`ALTER ROLE ${name(role)} NOLOGIN PASSWORD NULL`);
  for (let asked = 0; asked < ASKED.times; asked++) {
    const alive = await session.rows(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1`,
      [role],
    );
    if (alive.length === 0) return;
    await pause(ASKED.every);
  }
  const alive = await session.rows<{ pid: number; datname: string }>(
    `SELECT pid, datname FROM pg_stat_activity WHERE usename = $1`,
    [role],
  );
  if (alive.length === 0) return;
  throw new InfraError(
    "RDEV_DEADLINE",
    `The role ${role} can no longer log in, but the server did not end its sessions within ` +
      `${(ASKED.times * ASKED.every) / 1000} s: ` +
      `${alive.map(({ pid, datname }) => `process ${pid} in database ${datname}`).join(", ")}.`,
  );
}

/** Ends what it has open in other databases than its own. */
export async function endStrays(session: Session, role: string): Promise<void> {
  await session.rows(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1 AND datname <> $1`,
    [role],
  );
}
