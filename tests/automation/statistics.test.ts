import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { auditLog } from "../../automation/audit/log.ts";
import { statistics } from "../../automation/statistics.ts";
import { migrate } from "../../automation/store/migrate.ts";
import { Store } from "../../automation/store/store.ts";
import { embeddedStore } from "../support/embedded-store.ts";

const HOUR = 3_600_000;

describe("statistics", function () {
  this.timeout(60_000);
  let database: Awaited<ReturnType<typeof embeddedStore>>;
  let store: Store;
  const from = new Date("2026-01-31T00:00:00Z");
  const at = (hours: number) => new Date(Number(from) + hours * HOUR).toISOString();

  before(async () => {
    database = await embeddedStore();
    await migrate(database);
    store = new Store({ url: database.url });
  });
  after(async () => {
    await store.close();
    await database.close();
  });

  const operation = (slug: string, state: string, end: number, seconds: number | null) => {
    const started = seconds === null ? "NULL" : `'${at(end - seconds / 3600)}'`;
    return database.admin(`
      INSERT INTO operations (id, platform, slug, kind, request, settings, state, actor, started_at,
                              ended_at, remaining)
      VALUES ('${randomUUID()}', 'staging', '${slug}', 'refresh', '{"kind": "refresh"}', '{}', '${state}',
              'rdev', ${started}, '${at(end)}', '[]')`);
  };
  /** The audit log is append-only, so only its owner can give an event another time. */
  const event = async (action: string, projectId: string, hours: number) => {
    const result = action.endsWith("!") ? "failure" : "success";
    const name = action.replace("!", "");
    await auditLog(store).record({
      action: name,
      projectId,
      actor: "rdev",
      component: "infra",
      result,
    });
    await database.admin(`
      ALTER TABLE audit_log DISABLE TRIGGER USER;
      UPDATE audit_log SET at = '${at(hours)}' WHERE id = (SELECT max(id) FROM audit_log);
      ALTER TABLE audit_log ENABLE TRIGGER USER`);
  };

  it("count operations by their end, and projects by their lives", async () => {
    await operation("before", "failed", -0.5, 5);
    await operation("shop", "succeeded", 0, 10);
    await operation("shop", "succeeded", 0.5, 20);
    await operation("blog", "failed", 0.9, 60);
    await operation("blog", "cancelled", 2.5, null);
    await operation("after", "failed", 3, 5);
    await event("project.create", "old", -40);
    await event("project.create", "shop", -30);
    await event("project.update", "shop", 0.5);
    await event("project.create", "blog", 0.5);
    await event("project.destroy", "shop", 1.5);
    await event("project.destroy", "never", 1.6);
    await event("project.destroy!", "blog", 1.7);
    await event("project.destroy", "shop", 1.8);
    await event("project.create", "shop", 2.2);
    await event("project.create", "late", 3.1);

    const query = { from, periods: 3, periodMs: HOUR };
    assert.deepEqual(await statistics(store, query), [
      {
        at: from,
        ...{
          succeeded: 2,
          failed: 1,
          cancelled: 0,
          medianSeconds: 20,
          p95Seconds: 56,
          projects: 3,
        },
      },
      {
        at: new Date(at(1)),
        ...{ succeeded: 0, failed: 0, cancelled: 0, medianSeconds: null, p95Seconds: null },
        projects: 2,
      },
      {
        at: new Date(at(2)),
        ...{ succeeded: 0, failed: 0, cancelled: 1, medianSeconds: null, p95Seconds: null },
        projects: 3,
      },
    ]);
    const blog = await statistics(store, { ...query, slugs: ["blog"] });
    assert.deepEqual(
      blog.map(({ succeeded, failed, cancelled, projects }) => [
        succeeded,
        failed,
        cancelled,
        projects,
      ]),
      [
        [0, 1, 0, 1],
        [0, 0, 0, 1],
        [0, 0, 1, 1],
      ],
    );
    assert.deepEqual(
      (await statistics(store, { ...query, slugs: [] })).map(({ projects }) => projects),
      [0, 0, 0],
    );
  });
});
