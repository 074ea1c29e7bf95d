import assert from "node:assert/strict";
import { compareWithCitadel, verifyChain } from "../../../automation/audit/verify.ts";
import { MultiWriter } from "../../../automation/audit/log.ts";
import { CitadelShipper } from "../../../automation/audit/shipper.ts";
import { Citadel } from "../../../providers/citadel/client.ts";
import { type Citadel as StandIn, startCitadel } from "../../../sandbox/citadel/server.ts";
import { createTestStore, type TestStore } from "../../support/test-store.ts";

describe("the comparison of the audit log with Citadel's copy", () => {
  let test: TestStore;
  let standIn: StandIn;
  let citadel: Citadel;
  let tenant: string;

  beforeEach(async () => {
    test = await createTestStore();
    standIn = await startCitadel({ organization: "orchard9" });
    citadel = new Citadel(standIn);
    const environment = { slug: "rdev-platform", name: "rdev", organization: "orchard9" };
    ({ id: tenant } = await citadel.environments.create({ ...environment, metadata: {} }));
  });
  afterEach(async () => {
    await standIn.close();
    await test.drop();
  });

  async function record(count: number): Promise<void> {
    const log = new MultiWriter(test.store);
    const event = { action: "project.create", actor: "ada", component: "infra" } as const;
    for (let left = count; left > 0; left -= 1) await log.record({ ...event, result: "success" });
  }
  async function ship(platform = "staging"): Promise<void> {
    const { store } = test;
    await new CitadelShipper({ store, citadel, platform, tenant: async () => tenant }).drain();
  }
  const compare = () =>
    compareWithCitadel({ store: test.store, citadel, tenant, platform: "staging", last: "7d" });
  /** As the superuser, without triggers. */
  const tamper = (statement: string) =>
    test.admin(`SET session_replication_role = replica; ${statement}`);

  it("finds no difference, and ignores events that wait to be shipped", async () => {
    assert.deepEqual(await compare(), { compared: 0 });
    await record(620);
    await ship();
    await record(3);
    assert.deepEqual(await compare(), { compared: 620 });
  });

  it("finds rows cut off the end, which the chain cannot show", async () => {
    await record(5);
    await ship();
    await tamper("DELETE FROM audit_log WHERE id > 3");
    assert.deepEqual((await verifyChain(test.store)).broken, undefined);
    const { broken } = await compare();
    assert.equal(broken?.id, 4);
    assert.match(broken.reason, /the audit log lacks it/);
    await record(4); // the chain continues after the gap
    assert.deepEqual((await verifyChain(test.store)).broken, undefined);
    assert.equal((await compare()).broken?.id, 4);
  });

  it("finds that all rows were removed", async () => {
    await record(3);
    await ship();
    await tamper("TRUNCATE audit_log");
    assert.equal((await verifyChain(test.store)).rows, 0);
    assert.equal((await compare()).broken?.id, 1);
  });

  it("finds a rebuilt chain", async () => {
    await record(4);
    await ship();
    await tamper("TRUNCATE audit_log RESTART IDENTITY");
    await record(4);
    assert.deepEqual((await verifyChain(test.store)).broken, undefined);
    const { broken } = await compare();
    assert.equal(broken?.id, 1);
    assert.match(broken.reason, /is different/);
  });

  it("counts an event that was shipped twice as one", async () => {
    await record(300);
    await ship();
    await test.admin("INSERT INTO audit_outbox SELECT id, '' FROM audit_log");
    await ship();
    await test.admin("INSERT INTO audit_outbox SELECT id, '' FROM audit_log WHERE id < 200");
    await ship();
    assert.deepEqual(await compare(), { compared: 300 });
  });

  it("ignores other platforms and other logs", async () => {
    await record(2);
    await ship("production");
    await citadel.ingest(tenant, [
      {
        message: "no audit event",
        level: "info",
        timestamp: new Date().toISOString(),
        service: "rdev-infra",
        environment: "staging",
        target: "main",
        fields: { event_id: 99 },
      },
    ]);
    assert.deepEqual(await compare(), { compared: 0 });
  });

  describe("after Citadel lost its copy", () => {
    /** Backdates the shipping, because Citadel may not show recent events yet. */
    const settle = () => tamper("UPDATE audit_shipped SET shipped_at = now() - interval '1 hour'");
    async function recreateTenant(): Promise<void> {
      const old = tenant;
      await citadel.environments.delete(old);
      const environment = { slug: "rdev-platform", name: "rdev", organization: "orchard9" };
      ({ id: tenant } = await citadel.environments.create({ ...environment, metadata: {} }));
    }

    it("reports how many events it lacks, the first one, and the tenant of that one", async () => {
      await record(300);
      await ship();
      await settle();
      const shippedTo = tenant;
      await recreateTenant();
      const { compared, broken, missing } = await compare();
      assert.deepEqual([compared, broken], [0, undefined]);
      assert.deepEqual([missing?.count, missing?.first, missing?.tenant], [300, 1, shippedTo]);
      await record(2); // newer events do not hide the gap
      await ship();
      const since = await compare();
      assert.deepEqual([since.compared, since.missing?.count], [2, 300]);
    });

    it("finds one missing event between others", async () => {
      await record(2);
      await ship();
      await settle();
      await recreateTenant();
      await record(2);
      await ship();
      await test.admin("INSERT INTO audit_outbox VALUES (1, '')"); // resent by hand
      await ship();
      const { compared, missing } = await compare();
      assert.deepEqual([compared, missing?.count, missing?.first], [3, 1, 2]);
    });

    it("finds the loss even if the log was emptied", async () => {
      await record(3);
      await ship();
      await settle();
      await recreateTenant();
      await tamper("TRUNCATE audit_log");
      assert.equal((await verifyChain(test.store)).rows, 0);
      assert.deepEqual((await compare()).missing?.count, 3);
    });

    it("reports recently shipped events apart", async () => {
      await record(3);
      await ship();
      await recreateTenant();
      assert.deepEqual(await compare(), { compared: 0, recent: 3 });
    });

    it("ignores events before the given time, and those of other platforms", async () => {
      await record(4);
      await ship();
      await settle();
      await tamper("UPDATE audit_shipped SET at = now() - interval '8 days' WHERE audit_id < 3");
      await tamper("UPDATE audit_shipped SET platform = 'production' WHERE audit_id = 3");
      await recreateTenant();
      const { missing } = await compare();
      assert.deepEqual([missing?.count, missing?.first], [1, 4]);
    });

    it("counts events without a record of shipping as unknown", async () => {
      await record(3);
      await ship();
      await tamper("DELETE FROM audit_shipped");
      assert.deepEqual(await compare(), { compared: 3 });
      await recreateTenant();
      await record(1);
      assert.deepEqual(await compare(), { compared: 0, unknown: 3 });
    });
  });

  it("records shipped events in the transaction that removes them from the outbox", async () => {
    await record(2);
    await test.admin(`
      CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN RAISE EXCEPTION 'no'; END $$;
      CREATE TRIGGER fail BEFORE DELETE ON audit_outbox EXECUTE FUNCTION fail()`);
    await ship();
    const shipped = () => test.admin("SELECT audit_id, platform, tenant_id FROM audit_shipped");
    assert.deepEqual(await shipped(), []);
    await test.admin("DROP TRIGGER fail ON audit_outbox");
    await test.admin("UPDATE audit_outbox SET next_at = now()");
    await ship();
    assert.deepEqual(
      (await shipped()).map(({ audit_id, ...rest }) => ({ ...rest, id: Number(audit_id) })),
      [1, 2].map((id) => ({ platform: "staging", tenant_id: tenant, id })),
    );
  });
});
