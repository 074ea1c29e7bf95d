import { type Kysely, sql } from "kysely";

export async function up(db: Kysely<unknown>): Promise<void> {
  // Set before the first thing is made, and read by every later attempt: only then may a rollback
  // delete what it finds.
  await sql`
    ALTER TABLE operations ADD COLUMN found_empty boolean NOT NULL DEFAULT false`.execute(db);
}
