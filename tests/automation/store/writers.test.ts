import assert from "node:assert/strict";
import { glob, readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));

/** Each table of the service, with the only module that may write to it. */
const WRITERS: Readonly<Record<string, string>> = {
  api_keys: "automation/keys/keys.ts",
  audit_log: "automation/audit/log.ts",
  audit_outbox: "automation/audit/outbox.ts",
  audit_shipped: "automation/audit/outbox.ts",
  drift: "automation/drift/table.ts",
  drift_runs: "automation/drift/table.ts",
  forge_deliveries: "automation/previews/requests.ts",
  lifetimes: "automation/lifetime/table.ts",
  merged_rollouts: "automation/rollouts/merged-table.ts",
  notification_deliveries: "automation/notifications/outbox.ts",
  notifications: "automation/notifications/outbox.ts",
  operation_attempts: "automation/operations/tables.ts",
  operation_events: "automation/operations/tables.ts",
  operations: "automation/operations/tables.ts",
  preview_requests: "automation/previews/requests.ts",
  projects: "automation/store/projects.ts",
  pull_request_heads: "automation/previews/requests.ts",
  rollout_events: "automation/rollouts/tables.ts",
  rollout_projects: "automation/rollouts/tables.ts",
  rollouts: "automation/rollouts/tables.ts",
};

/** Writes through kysely's builders, and in SQL text. */
const WRITE =
  /\b(?:insertInto|updateTable|deleteFrom|mergeInto)\(\s*["'`](\w+)|\b(?:INSERT INTO|UPDATE(?: ONLY)?|DELETE FROM(?: ONLY)?|MERGE INTO|TRUNCATE(?: TABLE)?)\s+"?(\w+)"?/g;

function tablesWrittenBy(source: string): Set<string> {
  const names = [...source.matchAll(WRITE)].map(([, built, text]) => built ?? text ?? "");
  return new Set(names.filter((name) => name in WRITERS));
}

describe("the writers of the service's tables", () => {
  it("recognizes every way to write", () => {
    for (const source of [
      'db.insertInto("projects")',
      'db.updateTable(\n  "projects")',
      "sql`DELETE FROM projects AS old WHERE true`",
      "sql`UPDATE projects SET name = ''`",
      "sql`INSERT INTO projects (slug) VALUES ('shop')`",
      "sql`TRUNCATE projects`",
    ]) {
      assert.deepEqual([...tablesWrittenBy(source)], ["projects"], source);
    }
    assert.deepEqual([...tablesWrittenBy('db.selectFrom("projects")')], []);
  });

  it("are one module for each table", async () => {
    const wrong: string[] = [];
    const written = new Set<string>();
    for await (const file of glob("{automation,cli}/**/*.ts", { cwd: ROOT })) {
      if (file.startsWith("automation/store/migrations/")) continue;
      for (const table of tablesWrittenBy(await readFile(`${ROOT}${file}`, "utf8"))) {
        const writer = WRITERS[table]!;
        written.add(table);
        if (file !== writer)
          wrong.push(`${file} writes to "${table}", which only ${writer} may write`);
      }
    }
    assert.deepEqual(wrong, []);
    assert.deepEqual([...written].sort(), Object.keys(WRITERS));
  });

  it("name every table of the schema", async () => {
    const schema = await readFile(`${ROOT}automation/store/schema.ts`, "utf8");
    const [, tables = ""] = /interface Schema \{([^}]*)\}/.exec(schema) ?? [];
    const names = [...tables.matchAll(/^ {2}(\w+):/gm)].map(([, name]) => name);
    assert.deepEqual(names.sort(), Object.keys(WRITERS));
  });
});
