import { type Kysely, sql } from "kysely";

export async function up(db: Kysely<unknown>): Promise<void> {
  await allowApprovers(db);
}

/** The version before reads keys with the new role, and refuses whatever they ask for. */
async function allowApprovers(db: Kysely<unknown>): Promise<void> {
  await sql`
    ALTER TABLE api_keys
      DROP CONSTRAINT api_keys_role_check,
      ADD CONSTRAINT api_keys_role_check
        CHECK (role IN ('viewer', 'operator', 'approver', 'admin'))`.execute(db);
}
