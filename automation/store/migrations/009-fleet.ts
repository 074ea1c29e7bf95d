import { type Kysely, sql } from "kysely";

export async function up(db: Kysely<unknown>): Promise<void> {
  await createNotifications(db);
  await indexForStatistics(db);
  // What the last `up` and the last update of the template say: see core/template-update.ts.
  await sql`ALTER TABLE projects ADD COLUMN template_seed jsonb, ADD COLUMN template jsonb`.execute(
    db,
  );
}

/** What receivers are told of: see automation/notifications/outbox.ts. */
async function createNotifications(db: Kysely<unknown>): Promise<void> {
  await sql`
    CREATE TABLE notifications (
      id uuid PRIMARY KEY,
      at timestamptz(3) NOT NULL,
      subject text NOT NULL,
      event jsonb NOT NULL
    )`.execute(db);
  // One row for each receiver of an event, until the receiver has taken it.
  await sql`
    CREATE TABLE notification_deliveries (
      id uuid NOT NULL,
      receiver text NOT NULL,
      at timestamptz(3) NOT NULL,
      subject text NOT NULL,
      event jsonb NOT NULL,
      attempts integer NOT NULL DEFAULT 0,
      next_at timestamptz NOT NULL DEFAULT '-infinity',
      given_up_at timestamptz,
      reason text,
      PRIMARY KEY (receiver, id)
    )`.execute(db);
  await sql`
    CREATE INDEX notification_deliveries_waiting
    ON notification_deliveries (receiver, subject, id) WHERE given_up_at IS NULL`.execute(db);
}

/** See automation/statistics.ts. */
async function indexForStatistics(db: Kysely<unknown>): Promise<void> {
  await sql`CREATE INDEX operations_by_end ON operations (ended_at)`.execute(db);
  await sql`
    CREATE INDEX audit_log_lives ON audit_log (project_id, id) INCLUDE (at, action)
    WHERE result = 'success' AND action IN ('project.create', 'project.destroy')`.execute(db);
}
