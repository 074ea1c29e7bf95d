import assert from "node:assert/strict";
import { Migrator } from "kysely/migration";
import { MultiWriter } from "../../../automation/audit/log.ts";
import { verifyChain } from "../../../automation/audit/verify.ts";
import { dumpDatabase, loadDatabase, rowsPresent } from "../../../automation/backup/database.ts";
import type { Entry } from "../../../automation/backup/format.ts";
import { Keys } from "../../../automation/keys/keys.ts";
import { announce } from "../../../automation/notifications/outbox.ts";
import { requeueOpen } from "../../../automation/operations/requeue-open.ts";
import { storeDelivery } from "../../../automation/previews/requests.ts";
import { migrate, MIGRATIONS } from "../../../automation/store/migrate.ts";
import { openQueue, QUEUE } from "../../../automation/store/queue.ts";
import { requireAppendOnly, requireSchema } from "../../../automation/store/require-schema.ts";
import { Store } from "../../../automation/store/store.ts";
import { embeddedStore } from "../../support/embedded-store.ts";
import { rejected } from "../../support/errors.ts";

/** What ended, waits, runs and was cancelled, of three projects; ids in the order of submission. */
const OPERATIONS = [
  ["0199-0", "shop", "up", "succeeded", 0],
  ["0199-1", "shop", "up", "running", 1],
  ["0199-2", "shop", "refresh", "queued", 2],
  ["0199-3", "blog", "destroy", "cancelling", 1],
  ["0199-4", "news", "up", "queued", 1],
] as const;
const idOf = (short: string) =>
  `01990000-0000-7000-8000-${short.replace("-", "").padStart(12, "0")}`;

describe("the database in a backup", function () {
  this.timeout(120_000);
  let test: Awaited<ReturnType<typeof embeddedStore>>;
  let store: Store;
  let migrations: string[];
  let rows: Record<string, number>;
  let entries: Entry[];

  before(async () => void (test = await embeddedStore()));
  after(() => test.close());
  beforeEach(async () => {
    await migrate(test);
    store = new Store({ url: test.url });
  });
  afterEach(async () => {
    await store.close();
    await test.lose();
  });

  const dump = async () => {
    entries = [];
    const add = async (name: string, content: string | Buffer) =>
      void entries.push({ name, content: Buffer.from(content) });
    rows = await dumpDatabase(store, add, async (names) => void (migrations = names));
  };
  const load = async <T>(finish: Parameters<typeof loadDatabase<T>>[2], made = entries) => {
    await migrate(test);
    return loadDatabase(
      { ...test, migrations },
      async (insert) => {
        for (const entry of made) await insert(entry);
        return rows;
      },
      finish,
    );
  };
  const lose = async () => {
    await store.close();
    await test.lose();
    store = new Store({ url: test.url });
  };
  /** Every row of every table but the queue's, as text. */
  const everything = async () => {
    const found: Record<string, unknown> = {};
    for (const table of Object.keys(rows)) {
      found[table] = await test.admin(`SELECT t::text FROM ${table} t ORDER BY 1`);
    }
    return found;
  };

  it("comes back to the last row of every table, and takes new events", async () => {
    await fill(test, store);
    await dump();
    const before = await everything();
    for (const [table, found] of Object.entries(before)) {
      assert.ok(Array.isArray(found) && found.length > 0, `the test has no row in ${table}`);
    }
    await lose();
    await load(async () => undefined);
    assert.deepEqual(await everything(), before);
    await requireSchema(store);
    await requireAppendOnly(store);
    const { rows: chain, broken } = await verifyChain(store);
    assert.deepEqual([chain, broken], [3, undefined]);

    await new MultiWriter(store).record({ ...EVENT, result: "success" });
    assert.equal((await verifyChain(store)).rows, 4);
    // Citadel may have events 4 and up, which were recorded after the backup.
    const [last] = await test.admin("SELECT max(id)::integer AS id FROM audit_log");
    assert.ok(Number(last?.["id"]) > 10_000);
    await rejected(
      store.run((db) => db.deleteFrom("audit_log").execute()),
      /permission denied|append-only|may not/,
    );
    assert.equal((await new Keys(store).list())[0]?.name, "rdev");
  });

  it("holds every table that the migrations make", async () => {
    await dump();
    const tables = await test.admin(
      "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1",
    );
    const known = [...Object.keys(rows), "kysely_migration", "kysely_migration_lock"].toSorted();
    assert.deepEqual(
      tables.map(({ tablename }) => tablename),
      known,
    );
  });

  it("continues the operations in their order, as if the service had been killed", async () => {
    await fill(test, store);
    await dump();
    await lose();
    const open = await load(async (transaction, owner) => {
      const boss = openQueue(owner);
      await boss.start();
      return requeueOpen(transaction, boss).finally(() => boss.stop({ graceful: false }));
    });
    assert.deepEqual(
      open.map(({ id }) => id),
      OPERATIONS.slice(1).map(([id]) => idOf(id)),
    );
    const states = await test.admin("SELECT state FROM operations ORDER BY id");
    assert.deepEqual(
      states.map(({ state }) => state),
      ["succeeded", "queued", "queued", "cancelling", "queued"],
    );
    const events = await test.admin(
      `SELECT event FROM operation_events WHERE operation_id = '${idOf("0199-1")}' AND number = 2`,
    );
    assert.deepEqual(events[0]?.["event"], { event: "state", state: "queued", attempts: 1 });

    const boss = openQueue(store);
    await boss.start();
    const next = async () => (await boss.fetch(QUEUE, { batchSize: 5 })).map(({ id }) => id);
    assert.deepEqual(new Set(await next()), new Set(["0199-1", "0199-3", "0199-4"].map(idOf)));
    await boss.complete(QUEUE, idOf("0199-1"));
    assert.deepEqual(await next(), [idOf("0199-2")]);
    await boss.stop({ graceful: false });
  });

  it("is of one moment, even if others write meanwhile", async () => {
    await fill(test, store);
    const other = new Store({ url: test.url });
    const add = async () => new MultiWriter(other).record({ ...EVENT, result: "started" });
    const counts = await dumpDatabase(store, add, async () => undefined);
    await other.close();
    assert.deepEqual([counts["audit_log"], counts["audit_outbox"]], [3, 2]);
  });

  it("of an older version is migrated like the database of an updated service", async () => {
    await lose();
    migrations = Object.keys(MIGRATIONS).slice(0, 5);
    const owner = new Store({ url: test.ownerUrl, connections: 1 });
    await owner.transaction(async (transaction) => {
      const known = Object.fromEntries(Object.entries(MIGRATIONS).slice(0, 5));
      const provider = { getMigrations: async () => known };
      await new Migrator({ db: transaction, provider }).migrateToLatest();
    });
    await owner.close();
    await test.admin(`
      INSERT INTO operations (id, platform, slug, kind, request, settings, state, actor)
      VALUES (gen_random_uuid(), 'staging', 'shop', 'refresh', '{"kind":"refresh"}', '{}', 'failed', 'a')`);
    const [row] = await test.admin("SELECT row_to_json(t)::text AS line FROM operations t");
    const content = Buffer.from(`${String(row?.["line"])}\n`);
    assert.ok(!content.includes("found_empty"));
    entries = [{ name: "database/operations/1.jsonl", content }];
    rows = { projects: 0, operations: 1 };
    await lose();
    await load(async () => undefined);
    await requireSchema(store);
    const [restored] = await test.admin("SELECT slug, found_empty, turn FROM operations");
    assert.deepEqual(restored, { slug: "shop", found_empty: false, turn: 0 });
  });

  it("is not restored over rows, and names the tables that have some", async () => {
    await fill(test, store);
    await dump();
    const before = await everything();
    const error = await rejected(
      load(async () => undefined),
      /the table projects has 1 row\n/,
    );
    assert.equal(error.name, "RDEV_NOT_EMPTY");
    assert.deepEqual(await everything(), before);
    const present = await rowsPresent(test.ownerUrl);
    assert.ok(present.includes("the table audit_log has 3 rows"), String(present));
    await lose();
    assert.deepEqual(await rowsPresent(test.ownerUrl), []);
  });

  it("stays empty after a restore that failed at the end, and can then be restored", async () => {
    await fill(test, store);
    await dump();
    const before = await everything();
    await lose();
    await rejected(
      load(async () => {
        throw new Error("it was interrupted");
      }),
      /interrupted/,
    );
    assert.deepEqual(await rowsPresent(test.ownerUrl), []);
    const missing = entries.filter(({ name }) => !name.includes("operation_events"));
    const error = await rejected(
      load(async () => undefined, missing),
      /operation_events has 0 of its 1/,
    );
    assert.equal(error.name, "RDEV_BACKUP");
    await requireSchema(store);
    await load(async () => undefined);
    assert.deepEqual(await everything(), before);
  });

  it("is split into entries that fit into memory", async () => {
    await migrate(test);
    await test.admin(`
      INSERT INTO projects (slug, platform, name, outputs)
      SELECT 'p' || n, 'staging', 'P', jsonb_build_object('text', repeat('x', 10000))
      FROM generate_series(1, 1200) n`);
    await dump();
    assert.equal(rows["projects"], 1200);
    assert.ok(entries.length >= 12);
    for (const { content } of entries) assert.ok(content.length < 1_100_000, `${content.length}`);
    await lose();
    await load(async () => undefined);
    assert.equal((await test.admin("SELECT 1 FROM projects")).length, 1200);
  });
});

const EVENT = { action: "project.create", projectId: "shop", actor: "ada", component: "infra" };

const ENDING = {
  kind: "project.ending",
  slug: "shop",
  step: "stopped",
  at: "2026-01-02T03:04:05.678Z",
} as const;

/** Rows in every table, with values that are easily lost: microseconds, bytes, infinity, lists, quotes. */
async function fill(
  { admin }: Awaited<ReturnType<typeof embeddedStore>>,
  store: Store,
): Promise<void> {
  const log = new MultiWriter(store);
  await log.record({ ...EVENT, result: "started", details: { text: 'é \u2028 \n \\ " 💥' } });
  await log.record({ ...EVENT, result: "success", durationMs: 12 });
  await log.record({ ...EVENT, action: "platform.up", result: "failure" });
  await admin("DELETE FROM audit_outbox WHERE audit_id = 1");
  await admin(`INSERT INTO audit_shipped (audit_id, platform, tenant_id, at)
    SELECT id, 'staging', 't', at FROM audit_log WHERE id = 1`);
  await admin(`INSERT INTO projects (slug, platform, name, citadel_tenant_id, settings, outputs)
    VALUES ('shop', 'staging', E'The "Shop"\\n', gen_random_uuid(), '{"sizes": {"replicas": 2}}', '{}')`);
  await new Keys(store).create({ name: "rdev", role: "admin" }, "ada");
  await admin("DELETE FROM audit_outbox WHERE audit_id > 3");
  await admin(`SET session_replication_role = replica; DELETE FROM audit_log WHERE id > 3`);
  for (const [id, slug, kind, state, turn] of OPERATIONS) {
    await admin(`
      INSERT INTO operations (id, platform, slug, kind, request, settings, state, actor, turn,
        attempts, last_event, started_at, outcome)
      VALUES ('${idOf(id)}', 'staging', '${slug}', '${kind}', '{"kind": "${kind}"}', '{}', '${state}',
        'ada', ${turn}, ${state === "queued" ? 0 : 1}, ${state === "queued" ? 0 : 1},
        ${state === "queued" ? "NULL" : "'2026-01-02 03:04:05.678901+00'"},
        ${state === "succeeded" ? `'{"result": "succeeded"}'` : "NULL"})`);
  }
  await admin(`INSERT INTO operation_attempts (operation_id, attempt, runner, engines)
    VALUES ('${idOf("0199-1")}', 1, '{"id": "x"}', '{1,22,333}')`);
  await admin(`INSERT INTO operation_events (operation_id, number, at, event)
    VALUES ('${idOf("0199-1")}', 1, now(), '{"event": "state", "state": "running", "attempts": 1}')`);
  await store.transaction((transaction) => announce(transaction, ENDING));
  await admin(`INSERT INTO notification_deliveries (id, receiver, at, subject, event, given_up_at)
    SELECT id, 'ops', at, subject, event, now() FROM notifications`);
  const rollout = idOf("0199-9");
  await admin(`INSERT INTO rollouts (id, platform, version, request, state, actor, actor_id, wave_ended_at)
    VALUES ('${rollout}', 'staging', '1.0.0+a', '{}', 'running', 'ada', 'x', now())`);
  await admin(`INSERT INTO rollout_projects (rollout_id, slug, wave, state, plan)
    VALUES ('${rollout}', 'shop', 1, 'planned', '{"fingerprint": "x"}')`);
  await admin(`INSERT INTO rollout_events (rollout_id, number, at, event)
    VALUES ('${rollout}', 1, now(), '{"event": "rollout", "state": "planning"}')`);
  await admin(`INSERT INTO merged_rollouts (id, platform, number, commit, version, by, rollout_id)
    VALUES ('${idOf("0199-1")}', 'staging', 7, 'c0ffee', '1.0.0+a', 'ada', '${rollout}')`);
  await admin(
    `INSERT INTO drift_runs (id, platform, actor) VALUES ('${idOf("0199-1")}', 'staging', 'ada')`,
  );
  await admin(
    `INSERT INTO drift (slug, changes, error) VALUES ('shop', '[{"urn": "x"}]', '{"message": "no"}')`,
  );
  await admin(`INSERT INTO lifetimes (slug, expires_at) VALUES ('shop', 'infinity')`);
  await storeDelivery(store, Buffer.from("body"), [
    { kind: "head", number: 7, commit: "a".repeat(40), at: "2026-01-02T03:04:05Z" },
    { kind: "approved", number: 7, commit: "a".repeat(40) },
  ]);
}
