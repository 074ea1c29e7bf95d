import assert from "node:assert/strict";
import pg from "pg";
import { migrate } from "../../automation/store/migrate.ts";
import { Operations } from "../../automation/operations/operations.ts";
import { queryOnce } from "../../sandbox/store-database.ts";
import { createTestStore, type TestStore } from "../support/test-store.ts";
import { variable } from "../support/variables.ts";

describe("a tenant's role on the server of rdev-infra's database", function () {
  this.timeout(400_000);
  let test: TestStore;
  let tenant: string;

  beforeEach(async () => {
    test = await createTestStore();
    tenant = `${test.serviceRole}_tenant`;
    await test.admin(`CREATE ROLE ${tenant} LOGIN PASSWORD 'planted-Passw0rd'`);
  });
  afterEach(async () => {
    await test.admin(`DROP OWNED BY ${tenant}`);
    await test.drop();
    await queryOnce(variable("POSTGRES_ADMIN_URL"), `DROP OWNED BY ${tenant}; DROP ROLE ${tenant}`);
  });

  const asTenant = (database: string) =>
    Object.assign(new URL(variable("POSTGRES_ADMIN_URL")), {
      username: tenant,
      password: "planted-Passw0rd",
      pathname: `/${database}`,
    }).href;

  it("cannot connect to the database, so it cannot LISTEN, NOTIFY or lock there", async () => {
    await assert.rejects(queryOnce(asTenant(test.serviceRole), "SELECT 1"), {
      code: "42501",
      message: `permission denied for database "${test.serviceRole}"`,
    });
  });

  it("cannot block anything with the same locks in another database", async () => {
    const elsewhere = new pg.Client({ connectionString: asTenant("postgres") });
    await test.admin(`GRANT CONNECT ON DATABASE postgres TO ${tenant}`);
    await elsewhere.connect();
    for (const lock of [7_274_001, 7_274_002, 7_274_003]) {
      await elsewhere.query("SELECT pg_advisory_lock($1)", [lock]);
    }
    const stack = "operations of staging.shop";
    await elsewhere.query("SELECT pg_advisory_lock(hashtextextended($1, 0))", [stack]);
    await migrate(test);
    const operations = new Operations(test.store);
    const { operation } = await operations.submit({
      platform: "staging",
      slug: "shop",
      actor: "ada",
      ifBusy: "wait",
      request: { kind: "up", settings: {}, onFailure: "keep" },
    });
    assert.equal(operation.state, "queued");
    await operations.close();
    await elsewhere.end();
    await test.admin(`REVOKE CONNECT ON DATABASE postgres FROM ${tenant}`);
  });

  it("cannot crash a replica with notifications, even if it can connect", async () => {
    const operations = new Operations(test.store);
    const { operation } = await operations.submit({
      platform: "staging",
      slug: "shop",
      actor: "ada",
      ifBusy: "wait",
      request: { kind: "up", settings: {}, onFailure: "keep" },
    });
    await test.admin(`GRANT CONNECT ON DATABASE ${test.serviceRole} TO ${tenant}`);
    const states: string[] = [];
    const followed = (async () => {
      const signal = AbortSignal.timeout(30_000);
      for await (const { event } of operations.follow(operation.id, 0, signal)) {
        if (event.event === "state") states.push(event.state);
        if (states.length > 1) continue;
        // The listener may connect only after some notifications. It receives the rest.
        const payloads = ["x", "", "null", "[]", "1", '{"id":1}', '{"id":"x","state":"gone"}', "{"];
        for (const payload of payloads) {
          await queryOnce(asTenant(test.serviceRole), `NOTIFY rdev_operations, '${payload}'`);
        }
        await operations.cancel(operation.id, "ada");
      }
    })();
    await followed;
    assert.deepEqual(states, ["queued", "cancelled"]);
    await operations.close();
  });
});
