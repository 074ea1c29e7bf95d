import { type Kysely, sql } from "kysely";

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`ALTER TABLE operations ADD COLUMN turn integer NOT NULL DEFAULT 0`.execute(db);
  // Each request looks up the greatest turn, overall and of its actor.
  await sql`
    CREATE INDEX operations_begun ON operations (turn) WHERE started_at IS NOT NULL`.execute(db);
  await sql`
    CREATE INDEX operations_of_actor ON operations (actor, turn)
    WHERE started_at IS NOT NULL OR state <> 'cancelled'`.execute(db);
}
