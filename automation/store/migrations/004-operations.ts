import { type Kysely, sql } from "kysely";

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    ALTER TABLE projects
      ADD COLUMN settings jsonb NOT NULL DEFAULT '{}',
      ADD COLUMN outputs jsonb NOT NULL DEFAULT '{}'`.execute(db);

  await sql`
    CREATE TABLE operations (
      id uuid PRIMARY KEY,
      platform text NOT NULL,
      slug text NOT NULL,
      kind text NOT NULL CHECK (kind IN ('up', 'preview', 'refresh', 'destroy')),
      request jsonb NOT NULL,
      -- What the stack runs with: the project's settings, and over them those of the request.
      settings jsonb NOT NULL,
      state text NOT NULL CHECK
        (state IN ('queued', 'running', 'cancelling', 'succeeded', 'failed', 'cancelled')),
      actor text NOT NULL,
      cancelled_by text,
      created_at timestamptz NOT NULL DEFAULT now(),
      started_at timestamptz,
      ended_at timestamptz,
      attempts integer NOT NULL DEFAULT 0,
      outcome jsonb,
      remaining jsonb NOT NULL DEFAULT '[]',
      last_event integer NOT NULL DEFAULT 0,
      idempotency_key text,
      fingerprint text
    )`.execute(db);
  await sql`CREATE INDEX operations_by_project ON operations (slug, id)`.execute(db);
  // Each request looks up the open operations of a project.
  await sql`
    CREATE INDEX operations_open ON operations (slug)
    WHERE state IN ('queued', 'running', 'cancelling')`.execute(db);
  await sql`
    CREATE UNIQUE INDEX operations_by_idempotency_key ON operations (actor, idempotency_key)
    WHERE idempotency_key IS NOT NULL`.execute(db);

  await sql`
    CREATE TABLE operation_attempts (
      operation_id uuid NOT NULL REFERENCES operations ON DELETE CASCADE,
      attempt integer NOT NULL,
      started_at timestamptz NOT NULL DEFAULT now(),
      -- The process that runs it, or ran it: see automation/operations/runner-identity.ts.
      runner jsonb NOT NULL,
      -- The process ids of its engines.
      engines integer[] NOT NULL DEFAULT '{}',
      PRIMARY KEY (operation_id, attempt)
    )`.execute(db);

  await sql`
    CREATE TABLE operation_events (
      operation_id uuid NOT NULL REFERENCES operations ON DELETE CASCADE,
      number integer NOT NULL,
      at timestamptz NOT NULL,
      event jsonb NOT NULL,
      PRIMARY KEY (operation_id, number)
    )`.execute(db);
}
