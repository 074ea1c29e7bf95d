import { type Kysely, sql } from "kysely";

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    CREATE TABLE audit_log (
      id bigserial PRIMARY KEY,
      at timestamptz(3) NOT NULL,
      action text NOT NULL,
      project_id text,
      actor text NOT NULL,
      result text NOT NULL CHECK (result IN ('started', 'success', 'failure')),
      duration_ms bigint,
      component text NOT NULL,
      details jsonb NOT NULL,
      -- Unique: the chain cannot fork.
      prev_hash text NOT NULL UNIQUE,
      hash text NOT NULL UNIQUE
    )`.execute(db);
  await sql`CREATE INDEX audit_log_by_project ON audit_log (project_id, id)`.execute(db);
  await sql`CREATE INDEX audit_log_by_time ON audit_log (at)`.execute(db);

  await sql`
    CREATE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      RAISE EXCEPTION 'audit_log is append-only: % is refused', TG_OP
        USING ERRCODE = 'insufficient_privilege';
    END $$`.execute(db);
  await sql`
    CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change()`.execute(db);

  // No foreign key: its check would lock rows of audit_log, and no role has the right to do that.
  await sql`
    CREATE TABLE audit_outbox (
      audit_id bigint PRIMARY KEY,
      project_id text NOT NULL,
      queued_at timestamptz NOT NULL DEFAULT now(),
      attempts integer NOT NULL DEFAULT 0,
      -- now() would make the row wait for a shipper whose transaction began earlier.
      next_at timestamptz NOT NULL DEFAULT '-infinity',
      refused_at timestamptz,
      reason text
    )`.execute(db);
  await sql`
    CREATE INDEX audit_outbox_waiting ON audit_outbox (next_at) WHERE refused_at IS NULL`.execute(
    db,
  );
}
