import { type Kysely, sql } from "kysely";

export async function up(db: Kysely<unknown>): Promise<void> {
  // No foreign key, for the reason given for audit_outbox. Events shipped before this migration have no row.
  await sql`
    CREATE TABLE audit_shipped (
      audit_id bigint NOT NULL,
      platform text NOT NULL,
      tenant_id text NOT NULL,
      at timestamptz(3) NOT NULL,
      -- Not now(), which is the start of the transaction, before Citadel was called.
      shipped_at timestamptz NOT NULL DEFAULT clock_timestamp(),
      PRIMARY KEY (audit_id, platform, tenant_id)
    )`.execute(db);
  await sql`
    CREATE OR REPLACE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      RAISE EXCEPTION '% is append-only: % is refused', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'insufficient_privilege';
    END $$`.execute(db);
  await sql`
    CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_shipped
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change()`.execute(db);
}
