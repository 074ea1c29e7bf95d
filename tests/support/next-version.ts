import { sql } from "kysely";
import { MIGRATIONS } from "../../automation/store/migrate.ts";

// Loaded by `node --import`, it makes a process one of the next version, which has one migration more.
// The migration does everything that a migration may do: see tests/support/schema-changes.ts.
Object.assign(MIGRATIONS, {
  "998-next": {
    async up(db: Parameters<(typeof MIGRATIONS)[string]["up"]>[0]): Promise<void> {
      for (const table of [
        "projects",
        "api_keys",
        "audit_log",
        "audit_outbox",
        "audit_shipped",
        "operations",
        "operation_attempts",
        "operation_events",
        "notifications",
        "notification_deliveries",
        "rollouts",
        "rollout_projects",
        "rollout_events",
        "drift_runs",
        "drift",
        "lifetimes",
        "forge_deliveries",
        "pull_request_heads",
        "preview_requests",
        "merged_rollouts",
      ]) {
        await sql`
          ALTER TABLE ${sql.table(table)}
            ADD next_text text,
            ADD next_number integer NOT NULL DEFAULT 7 CHECK (next_number > 0)`.execute(db);
        await sql`CREATE INDEX ON ${sql.table(table)} (next_number)`.execute(db);
      }
      await sql`CREATE TABLE next (slug text REFERENCES projects ON DELETE CASCADE)`.execute(db);
    },
  },
});
