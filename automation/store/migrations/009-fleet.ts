import { type Kysely, sql } from "kysely";

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`ALTER TABLE projects ADD COLUMN program_version text`.execute(db);
  await sql`
    ALTER TABLE operations ADD COLUMN plan_matched boolean NOT NULL DEFAULT false`.execute(db);
  await createNotifications(db);
  await createPreviewRequests(db);
  await indexForStatistics(db);
  await createDrift(db);
  await createLifetimes(db);
  // What the last `up` and the last update of the template say: see core/template-update.ts.
  await sql`ALTER TABLE projects ADD COLUMN template_seed jsonb, ADD COLUMN template jsonb`.execute(
    db,
  );
  await createRollouts(db);
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

async function createRollouts(db: Kysely<unknown>): Promise<void> {
  await sql`
    CREATE TABLE rollouts (
      id uuid PRIMARY KEY,
      platform text NOT NULL,
      version text NOT NULL,
      request jsonb NOT NULL,
      state text NOT NULL CHECK (state IN ('planning', 'planned', 'running', 'paused', 'cancelling',
        'succeeded', 'incomplete', 'stopped', 'cancelled')),
      reason text,
      actor text NOT NULL,
      actor_id text NOT NULL,
      created_at timestamptz NOT NULL DEFAULT now(),
      ended_at timestamptz,
      plan text,
      approved_by text,
      approved_at timestamptz,
      data_loss_approved boolean NOT NULL DEFAULT false,
      wave integer NOT NULL DEFAULT 0,
      wave_ended_at timestamptz,
      conductor uuid,
      conducted_until timestamptz,
      last_event integer NOT NULL DEFAULT 0
    )`.execute(db);
  await sql`CREATE INDEX rollouts_open ON rollouts (id) WHERE ended_at IS NULL`.execute(db);

  await sql`
    CREATE TABLE rollout_projects (
      rollout_id uuid NOT NULL REFERENCES rollouts ON DELETE CASCADE,
      -- No foreign key: a rollout outlives its projects.
      slug text NOT NULL,
      wave integer NOT NULL,
      state text NOT NULL CHECK (state IN ('waiting', 'planning', 'planned', 'running', 'succeeded',
        'failed', 'held', 'skipped')),
      reason jsonb,
      fingerprint text,
      loses_data boolean NOT NULL DEFAULT false,
      -- The ids of its operations, which are deleted earlier.
      preview uuid,
      operation uuid,
      plan jsonb,
      result jsonb,
      PRIMARY KEY (rollout_id, slug)
    )`.execute(db);

  await sql`
    CREATE TABLE rollout_events (
      rollout_id uuid NOT NULL REFERENCES rollouts ON DELETE CASCADE,
      number integer NOT NULL,
      at timestamptz NOT NULL,
      event jsonb NOT NULL,
      PRIMARY KEY (rollout_id, number)
    )`.execute(db);
}

/** What others changed on the servers: see automation/drift/table.ts. */
async function createDrift(db: Kysely<unknown>): Promise<void> {
  await sql`
    CREATE TABLE drift_runs (
      id uuid PRIMARY KEY,
      platform text NOT NULL,
      -- The time of the schedule. Null if a person started it.
      scheduled_at timestamptz,
      actor text NOT NULL,
      started_at timestamptz NOT NULL DEFAULT now(),
      ended_at timestamptz,
      UNIQUE (platform, scheduled_at)
    )`.execute(db);
  await sql`
    CREATE UNIQUE INDEX drift_runs_open ON drift_runs (platform) WHERE ended_at IS NULL`.execute(
    db,
  );
  await sql`
    CREATE TABLE drift (
      slug text PRIMARY KEY REFERENCES projects ON DELETE CASCADE,
      -- The last look at all projects that looked at this one.
      run uuid,
      checked_at timestamptz,
      changes jsonb NOT NULL DEFAULT '[]',
      fixable_by text NOT NULL DEFAULT 'nothing',
      error jsonb,
      -- The last look, the last fix, and the look that the fix was for.
      operation uuid,
      fix uuid,
      fixed_look uuid
    )`.execute(db);
}

/** How far the end of a project's time to live has come: see automation/lifetime/table.ts. */
async function createLifetimes(db: Kysely<unknown>): Promise<void> {
  await sql`
    CREATE TABLE lifetimes (
      slug text PRIMARY KEY REFERENCES projects ON DELETE CASCADE,
      -- The other columns are about this end. They are emptied if it changes.
      expires_at timestamptz NOT NULL,
      noticed_at timestamptz,
      stopped_at timestamptz,
      -- The operation of the last step, and how often the step was begun.
      operation uuid,
      attempts integer NOT NULL DEFAULT 0,
      tried_at timestamptz
    )`.execute(db);
}

/** What the forge's webhook brought: see automation/previews/requests.ts. */
async function createPreviewRequests(db: Kysely<unknown>): Promise<void> {
  await sql`
    CREATE TABLE forge_deliveries (
      key text PRIMARY KEY,
      received_at timestamptz NOT NULL DEFAULT now()
    )`.execute(db);
  await sql`
    CREATE TABLE pull_request_heads (
      number bigint NOT NULL,
      commit text NOT NULL,
      seen_at timestamptz NOT NULL,
      PRIMARY KEY (number, seen_at, commit)
    )`.execute(db);
  await sql`
    CREATE TABLE preview_requests (
      id uuid PRIMARY KEY,
      request jsonb NOT NULL,
      attempts integer NOT NULL DEFAULT 0,
      next_at timestamptz NOT NULL DEFAULT '-infinity'
    )`.execute(db);
}
