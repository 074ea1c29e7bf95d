import assert from "node:assert/strict";
import { Migrator } from "kysely/migration";
import { backlog } from "../../../automation/audit/outbox.ts";
import { verifyChain } from "../../../automation/audit/verify.ts";
import { MultiWriter } from "../../../automation/audit/log.ts";
import { Keys } from "../../../automation/keys/keys.ts";
import { Operations } from "../../../automation/operations/operations.ts";
import { migrate, MIGRATIONS } from "../../../automation/store/migrate.ts";
import { installQueue } from "../../../automation/store/queue.ts";
import {
  isOpenToAll,
  requireAppendOnly,
  requireSchema,
} from "../../../automation/store/require-schema.ts";
import { Store } from "../../../automation/store/store.ts";
import { rejected } from "../../support/errors.ts";
import { createTestStore, type TestStore } from "../../support/test-store.ts";

describe("the schema check before the service starts", function () {
  this.timeout(400_000);
  let test: TestStore;
  beforeEach(async () => void (test = await createTestStore({ migrated: false })));
  afterEach(() => test.drop());

  const refused = async (message: RegExp, check = requireSchema) => {
    const error = await rejected(check(test.store), message);
    assert.equal(error.name, "RDEV_STORE");
  };

  it("refuses an empty, an older and a much newer schema, and accepts its own and the next", async () => {
    await refused(/rdev-infra store migrate/);
    await migrate(test);
    await requireSchema(test.store);
    await test.admin("DELETE FROM kysely_migration WHERE name = '010-fleet-requests'");
    await refused(
      /schema of an older version \(without 010-fleet-requests\).*rdev-infra store migrate/,
    );
    await test.admin("INSERT INTO kysely_migration VALUES ('010-fleet-requests', '2026-01-01')");
    await test.admin("INSERT INTO kysely_migration VALUES ('998-next', '2098-01-01')");
    await requireSchema(test.store);
    assert.deepEqual(await migrate(test), []);
    await refused(/migrated by another version/, async () => {
      await migrate({ ...test, newer: 0 });
    });
    await refused(/newer version of rdev-infra migrated.*998-next/, (store) =>
      requireSchema(store, { newer: 0 }),
    );
    await test.admin("INSERT INTO kysely_migration VALUES ('999-later', '2099-01-01')");
    await refused(/newer version of rdev-infra migrated.*998-next, 999-later/);
    await refused(/migrated by another version.*Use the newest version/, async () => {
      await migrate(test);
    });
    await test.admin("DELETE FROM kysely_migration WHERE name = '999-later'");
    await test.admin("UPDATE pgboss.version SET version = version - 1");
    await refused(/queue's tables are another version's.*rdev-infra store migrate/);
    await test.admin("UPDATE pgboss.version SET version = version + 1");
    await requireSchema(test.store);
  });

  for (const count of [5, 7]) {
    it(`refuses a schema with ${count} migrations, which loses no data when it is migrated`, () =>
      losesNothing(count));
  }

  async function losesNothing(count: number): Promise<void> {
    await olderSchema(count);
    await refused(/rdev-infra store migrate/);
    await migrate(test);
    await requireSchema(test.store);
    assert.equal((await verifyChain(test.store)).rows, 1);
    assert.equal((await backlog(test.store)).waiting, 1);
    const key = await new Keys(test.store).list();
    assert.deepEqual(
      key.map(({ name, role }) => [name, role]),
      [["rdev", "admin"]],
    );
    const operations = new Operations(test.store);
    const [waiting] = await operations.list({ limit: 5 });
    assert.deepEqual([waiting?.slug, waiting?.state], ["shop", "queued"]);
    const next = await operations.submit({
      platform: "staging",
      slug: "shop",
      actor: "rdev",
      ifBusy: "wait",
      request: { kind: "refresh" },
    });
    assert.equal(next.operation.state, "queued");
    await operations.close();
  }

  it("refuses a role that could change the audit log", async () => {
    await migrate(test);
    await requireAppendOnly(test.store);
    const owner = new Store({ url: test.ownerUrl });
    const error = await rejected(
      requireAppendOnly(owner),
      /_owner" of DATABASE_URL owns the audit/,
    );
    assert.equal(error.name, "RDEV_STORE");
    await owner.close();
    await test.admin(`GRANT ${test.serviceRole}_owner TO ${test.serviceRole}`);
    await refused(/CREATE ROLE/, requireAppendOnly);
  });

  it("finds the database closed to other roles after a migration, even if it was open before", async () => {
    await migrate(test);
    assert.equal(await isOpenToAll(test.store), false);
    await test.admin(`GRANT CONNECT ON DATABASE ${test.serviceRole} TO PUBLIC`);
    assert.equal(await isOpenToAll(test.store), true);
    await migrate(test);
    assert.equal(await isOpenToAll(test.store), false);
  });

  /** Creates a schema with so many migrations, and a project, an event, a key and an operation in it. */
  async function olderSchema(count: number): Promise<void> {
    const known = Object.fromEntries(Object.entries(MIGRATIONS).slice(0, count));
    const owner = new Store({ url: test.ownerUrl, connections: 1 });
    await owner.transaction(async (transaction) => {
      const provider = { getMigrations: async () => known };
      const { error } = await new Migrator({ db: transaction, provider }).migrateToLatest();
      assert.equal(error, undefined);
    });
    await owner.close();
    await installQueue(test.ownerUrl);
    const { serviceRole } = test;
    await test.admin(`GRANT SELECT, INSERT ON audit_log TO ${serviceRole}`);
    await test.admin(`GRANT USAGE ON SEQUENCE audit_log_id_seq TO ${serviceRole}`);
    await test.admin(`
      GRANT SELECT, INSERT, UPDATE, DELETE
      ON projects, audit_outbox, api_keys, operations, operation_attempts, operation_events
      TO ${serviceRole}`);
    await new MultiWriter(test.store).record({
      action: "project.create",
      projectId: "shop",
      actor: "ada",
      component: "infra",
      result: "success",
    });
    await test.admin(
      "INSERT INTO projects (slug, platform, name) VALUES ('shop', 'staging', 'Shop')",
    );
    await test.admin(`
      INSERT INTO api_keys (id, name, role, hash)
      VALUES ('0123456789abcdef', 'rdev', 'admin', sha256('x'))`);
    await test.admin(`
      INSERT INTO operations (id, platform, slug, kind, request, settings, state, actor)
      VALUES (gen_random_uuid(), 'staging', 'shop', 'up',
        '{"kind":"up","settings":{},"onFailure":"rollback"}', '{}', 'queued', 'rdev')`);
  }
});
