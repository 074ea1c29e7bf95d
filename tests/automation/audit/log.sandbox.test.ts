import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import {
  audited,
  type AuditEvent,
  FIRST_HASH,
  MultiWriter,
  PostgresAuditLog,
} from "../../../automation/audit/log.ts";
import { listAudit } from "../../../automation/audit/queries.ts";
import { backlog } from "../../../automation/audit/outbox.ts";
import { verifyChain } from "../../../automation/audit/verify.ts";
import { Store } from "../../../automation/store/store.ts";
import { rejected } from "../../support/errors.ts";
import { createTestStore, type TestStore } from "../../support/test-store.ts";

const EVENT: AuditEvent = {
  action: "project.create",
  projectId: "shop",
  actor: "ada@example.test",
  component: "infra",
  result: "success",
};

describe("the audit log", () => {
  let test: TestStore;
  let log: MultiWriter;

  beforeEach(async () => {
    test = await createTestStore();
    log = new MultiWriter(test.store);
  });
  afterEach(() => test.drop());

  async function record(count: number): Promise<void> {
    for (let index = 0; index < count; index += 1) {
      await log.record({ ...EVENT, details: { index } });
    }
  }

  /** Only the server's administrator can do this. */
  async function tamper(statement: string): Promise<void> {
    await test.admin(`SET session_replication_role = replica; ${statement}`);
  }

  it("records who did what to which project, and the result", async () => {
    await log.record({ ...EVENT, durationMs: 12.6, details: { template: "skeleton" } });
    const [row] = await listAudit(test.store, { limit: 10 });
    const { at, hash, ...rest } = row!;
    assert.ok(Math.abs(Date.now() - at.getTime()) < 60_000);
    assert.match(hash, /^[0-9a-f]{64}$/);
    assert.deepEqual(rest, {
      id: 1,
      action: "project.create",
      project_id: "shop",
      actor: "ada@example.test",
      component: "infra",
      result: "success",
      duration_ms: 13,
      details: { template: "skeleton" },
      prev_hash: FIRST_HASH,
    });
  });

  it("filters by project and time, and limits to the newest", async () => {
    await record(3);
    await log.record({ ...EVENT, projectId: "blog" });
    const ids = async (options: Parameters<typeof listAudit>[1]) =>
      (await listAudit(test.store, options)).map(({ id }) => id);
    assert.deepEqual(await ids({ project: "shop", limit: 2 }), [2, 3]);
    assert.deepEqual(await ids({ project: "blog", limit: 2, last: 3_600_000 }), [4]);
    await tamper("UPDATE audit_log SET at = at - interval '2 hours' WHERE id < 4");
    assert.deepEqual(await ids({ limit: 9, last: 3_600_000 }), [4]);
  });

  it("lists operations without a result, as a kill or an outage leaves them", async () => {
    const action = { action: "project.update", actor: "ada", component: "infra" };
    await audited(log, { ...action, projectId: "done" }, async () => undefined);
    await rejected(
      audited(log, { ...action, projectId: "failed" }, () => Promise.reject(new Error("no"))),
      /no/,
    );
    const unfinished = async () =>
      (await listAudit(test.store, { limit: 9, unfinished: true })).map((row) => row.project_id);
    assert.deepEqual(await unfinished(), []);
    await log.record({ ...action, projectId: "killed", result: "started", operation: "op-1" });
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    const running = audited(log, { ...action, projectId: "running" }, () => held);
    while ((await unfinished()).length < 2) await sleep(10);
    assert.deepEqual(await unfinished(), ["killed", "running"]);
    release();
    await running;
    assert.deepEqual(await unfinished(), ["killed"]);
  });

  it("finds an operation without a result among 100,000 rows in time", async function () {
    this.timeout(20_000);
    await test.admin(`
      INSERT INTO audit_log SELECT n, now(), 'project.update', 'shop', 'ada',
        CASE n % 2 WHEN 1 THEN 'started' ELSE 'success' END, 1, 'infra',
        jsonb_build_object('operation', 'op-' || (n + 1) / 2), md5(n::text), md5((n + 1)::text)
      FROM generate_series(1, 99999) n`);
    const rows = await listAudit(test.store, { limit: 9, unfinished: true });
    assert.deepEqual(
      rows.map(({ id }) => id),
      [99_999],
    );
  });

  it("keeps one chain under concurrent writes", async () => {
    const events = Array.from({ length: 40 }, (_, index) => ({
      ...EVENT,
      projectId: `project-${index % 5}`,
    }));
    await Promise.all(events.map((event) => log.record(event)));
    const { rows, broken } = await verifyChain(test.store);
    assert.deepEqual({ rows, broken }, { rows: 40, broken: undefined });
    assert.equal((await backlog(test.store)).waiting, 40);
  });

  for (const statement of [
    "UPDATE audit_log SET actor = 'nobody'",
    "DELETE FROM audit_log",
    "TRUNCATE audit_log",
    "ALTER TABLE audit_log DISABLE TRIGGER append_only",
    "DROP TABLE audit_log",
  ]) {
    it(`refuses the service's role: ${statement}`, async () => {
      await record(1);
      const { CompiledQuery } = await import("kysely");
      const done = test.store.run((db) => db.executeQuery(CompiledQuery.raw(statement)));
      assert.equal((await rejected(done, /audit_log/)).name, "RDEV_FORBIDDEN");
      assert.equal((await verifyChain(test.store)).rows, 1);
    });
  }

  for (const statement of [
    "UPDATE audit_shipped SET shipped_at = now()",
    "DELETE FROM audit_shipped",
    "TRUNCATE audit_shipped",
    "ALTER TABLE audit_shipped DISABLE TRIGGER append_only",
  ]) {
    it(`refuses the service's role to change the record of shipped events: ${statement}`, async () => {
      const { CompiledQuery } = await import("kysely");
      const done = test.store.run((db) => db.executeQuery(CompiledQuery.raw(statement)));
      assert.equal((await rejected(done, /audit_shipped/)).name, "RDEV_FORBIDDEN");
    });
  }

  it("refuses the owner, and the administrator while the trigger is enabled", async () => {
    await record(1);
    const owner = new Store({ url: test.ownerUrl });
    const { sql } = await import("kysely");
    await rejected(
      owner.run((db) => sql`DELETE FROM audit_log`.execute(db)),
      /permission denied|append-only/,
    );
    await owner.close();
    await rejected(test.admin("DELETE FROM audit_log"), /append-only/);
    await rejected(test.admin("TRUNCATE audit_log"), /append-only/);
    await rejected(test.admin("DELETE FROM audit_shipped"), /audit_shipped is append-only/);
  });

  for (const [change, statement, id] of [
    ["a changed actor", "UPDATE audit_log SET actor = 'eve' WHERE id = 3", 3],
    ["changed details", `UPDATE audit_log SET details = '{"index": 7}' WHERE id = 2`, 2],
    ["another time", "UPDATE audit_log SET at = at + interval '1 ms' WHERE id = 4", 4],
    ["a removed row", "DELETE FROM audit_log WHERE id = 3", 4],
    ["removed first rows", "DELETE FROM audit_log WHERE id < 3", 3],
    [
      "swapped rows",
      "UPDATE audit_log SET id = CASE id WHEN 2 THEN -3 ELSE -2 END WHERE id IN (2, 3); " +
        "UPDATE audit_log SET id = -id WHERE id < 0",
      2,
    ],
    [
      "an inserted row",
      "INSERT INTO audit_log SELECT 9, at, action, project_id, 'eve', result, duration_ms, " +
        "component, details, hash, repeat('a', 64) FROM audit_log WHERE id = 5",
      9,
    ],
  ] as const) {
    it(`finds ${change}, and names the first broken row`, async () => {
      await record(5);
      assert.equal((await verifyChain(test.store)).broken, undefined);
      await tamper(statement);
      assert.equal((await verifyChain(test.store)).broken?.id, id);
    });
  }

  it("verifies details that jsonb formats differently", async () => {
    const odd = { z: 1, a: { "10": 1, "9": 2, b: [1.5, 1e21, -0, 1e-7] }, ü: "\u2028 é", n: null };
    await log.record({ ...EVENT, details: odd });
    assert.equal((await verifyChain(test.store)).broken, undefined);
  });

  it("accepts values that PostgreSQL and JSON cannot represent", async () => {
    const circular: Record<string, unknown> = { nul: "a\0b", half: "\ud800", big: 10n, nan: NaN };
    circular["self"] = circular;
    circular["date"] = new Date("0000-01-01T00:00:00Z");
    circular["never"] = new Date(NaN);
    circular["long"] = "x".repeat(1024 * 1024);
    Object.defineProperty(circular, "trap", {
      enumerable: true,
      get: () => {
        throw new Error("no");
      },
    });
    await log.record({ ...EVENT, actor: "nul\0 \ud800", details: circular });
    const [row] = await listAudit(test.store, { limit: 1 });
    assert.equal(row?.actor, "nul\ufffd \ufffd");
    assert.equal(row.details["nul"], "a\ufffdb");
    assert.equal(row.details["self"], "[circular]");
    assert.equal(row.details["big"], "10");
    assert.equal(row.details["date"], "0000-01-01T00:00:00.000Z");
    assert.match(String(row.details["trap"]), /unreadable/);
    assert.ok(String(row.details["long"]).length < 5_000);
    assert.equal((await verifyChain(test.store)).broken, undefined);
  });

  it("names every problem of a malformed event", async () => {
    const wrong = { ...EVENT, action: "Project Create", actor: "" };
    const error = await rejected(log.record(wrong), /action: .*\n.*actor: /);
    assert.equal(error.name, "RDEV_AUDIT");
    assert.equal((await backlog(test.store)).waiting, 0);
  });

  it("does not use the outbox without Citadel", async () => {
    await new PostgresAuditLog(test.store).record(EVENT);
    assert.equal((await verifyChain(test.store)).rows, 1);
    assert.equal((await backlog(test.store)).waiting, 0);
  });

  it("writes neither row if the caller's transaction fails", async () => {
    const failing = test.store.transaction(async (transaction) => {
      await log.recordIn(transaction, EVENT);
      throw new Error("changed my mind");
    });
    await rejected(failing, /changed my mind/);
    assert.equal((await verifyChain(test.store)).rows, 0);
    assert.equal((await backlog(test.store)).waiting, 0);
  });

  describe("audited", () => {
    const action = {
      action: "project.delete",
      projectId: "shop",
      actor: "ada",
      component: "infra",
    };
    const results = async () =>
      (await listAudit(test.store, { limit: 9 })).map(({ result }) => result);

    it("records the intent before the work, and the result after it", async () => {
      const value = await audited(log, action, async () => {
        assert.deepEqual(await results(), ["started"]);
        return 42;
      });
      assert.equal(value, 42);
      assert.deepEqual(await results(), ["started", "success"]);
      const [, end] = await listAudit(test.store, { limit: 9 });
      assert.ok(end!.duration_ms! >= 0 && end!.duration_ms! < 60_000);
    });

    it("records why the work failed, and throws its error", async () => {
      const work = () => Promise.reject(new Error("the disk is full"));
      await rejected(audited(log, action, work), /^the disk is full$/);
      assert.deepEqual(await results(), ["started", "failure"]);
      const [, end] = await listAudit(test.store, { limit: 9 });
      assert.match(String(end?.details["error"]), /the disk is full/);
    });

    it("does not run the work if PostgreSQL is down", async () => {
      const down = Object.assign(new URL(test.url), { port: "1" });
      const store = new Store({ url: down.href });
      let done = false;
      const work = async () => void (done = true);
      const error = await rejected(audited(new MultiWriter(store), action, work), /reached/);
      assert.equal(error.name, "RDEV_UNREACHABLE");
      assert.equal(done, false);
      await store.close();
    });

    it("reports that the result could not be recorded", async () => {
      const work = async () => void (await test.admin("ALTER TABLE audit_outbox RENAME TO gone"));
      const error = await rejected(audited(log, action, work), /ended with success, but/);
      assert.equal(error.name, "RDEV_AUDIT");
    });

    it("measures with a monotonic clock", async () => {
      const real = Date.now;
      try {
        await audited(log, action, async () => void (Date.now = () => real() - 86_400_000));
      } finally {
        Date.now = real;
      }
      const [, end] = await listAudit(test.store, { limit: 9 });
      assert.ok(end!.duration_ms! >= 0 && end!.duration_ms! < 60_000);
      assert.equal((await verifyChain(test.store)).broken, undefined);
    });
  });
});
