import { type Kysely, sql } from "kysely";

export async function up(db: Kysely<unknown>): Promise<void> {
  // Set before the operation makes anything, and read by later attempts. A rollback may delete a
  // project only if this is set.
  await sql`
    ALTER TABLE operations ADD COLUMN found_empty boolean NOT NULL DEFAULT false`.execute(db);
}
