import pg from "pg";
import type { Open } from "./removal.ts";
import type { Session } from "./session.ts";

const name = pg.escapeIdentifier;
const text = pg.escapeLiteral;

/**
 * Takes a database from the role that it is for: its owner could comment it, make it a template,
 * limit its connections and let others in. The role keeps what applications do: it may make schemas,
 * extensions and temporary tables, and owns the schema `public`. Marked before the owner changes, a
 * database that the role still owns is one whose handover was cut short.
 */
export async function takeDatabase(
  session: Session,
  open: Open,
  role: string,
  comment: string,
): Promise<void> {
  await session.run(
    `REVOKE ALL ON DATABASE ${name(role)} FROM PUBLIC`,
    `COMMENT ON DATABASE ${name(role)} IS ${text(comment)}`,
    `ALTER DATABASE ${name(role)} WITH IS_TEMPLATE false ALLOW_CONNECTIONS true CONNECTION LIMIT -1`,
  );
  await giveSchema(open, role);
  await session.atOnce(
    `ALTER DATABASE ${name(role)} OWNER TO CURRENT_USER`,
    `GRANT CONNECT, CREATE, TEMPORARY ON DATABASE ${name(role)} TO ${name(role)}`,
  );
}

/** Before PostgreSQL 15 all may create in `public`, and only a superuser can give it away. */
async function giveSchema(open: Open, role: string): Promise<void> {
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
