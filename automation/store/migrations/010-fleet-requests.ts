import { type Kysely, sql } from "kysely";

export async function up(db: Kysely<unknown>): Promise<void> {
  await allowApprovers(db);
  await addMergedRollouts(db);
}

/** Requests to roll out a merged commit, which wait for a service of its version. */
async function addMergedRollouts(db: Kysely<unknown>): Promise<void> {
  await sql`
    CREATE TABLE merged_rollouts (
      id uuid PRIMARY KEY,
      platform text NOT NULL,
      number bigint NOT NULL,
      commit text NOT NULL,
      version text NOT NULL,
      by text NOT NULL,
      state text NOT NULL DEFAULT 'waiting'
        CHECK (state IN ('waiting', 'planned', 'refused', 'superseded', 'expired', 'cancelled')),
      reason text,
      created_at timestamptz NOT NULL DEFAULT now(),
      ended_at timestamptz,
      rollout_id uuid REFERENCES rollouts ON DELETE SET NULL,
      comment_at timestamptz,
      comment_attempts integer NOT NULL DEFAULT 0,
      CHECK ((ended_at IS NULL) = (state = 'waiting'))
    )`.execute(db);
  await sql`
    CREATE UNIQUE INDEX merged_rollouts_open ON merged_rollouts (platform)
    WHERE ended_at IS NULL`.execute(db);
}

/** The version before reads keys with the new role, and refuses whatever they ask for. */
async function allowApprovers(db: Kysely<unknown>): Promise<void> {
  await sql`
    ALTER TABLE api_keys
      DROP CONSTRAINT api_keys_role_check,
      ADD CONSTRAINT api_keys_role_check
        CHECK (role IN ('viewer', 'operator', 'approver', 'admin'))`.execute(db);
}
