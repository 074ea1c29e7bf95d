import assert from "node:assert/strict";
import { compareWithCitadel } from "../../automation/audit/citadel-copy.ts";
import { MultiWriter } from "../../automation/audit/multi-writer.ts";
import { CitadelShipper } from "../../automation/audit/shipper.ts";
import { verifyChain } from "../../automation/audit/verify.ts";
import { Citadel } from "../../providers/citadel/client.ts";
import { type Citadel as StandIn, startCitadel } from "../../sandbox/citadel/server.ts";
import { createTestStore, type TestStore } from "../support/test-store.ts";

describe("the audit log beside Citadel's copy of it", () => {
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
  /** As the superuser, past all that protects it. */
  const tamper = (statement: string) =>
    test.admin(`SET session_replication_role = replica; ${statement}`);

  it("is the same, and what is not shipped yet is no difference", async () => {
    assert.deepEqual(await compare(), { compared: 0 });
    await record(620);
    await ship();
    await record(3);
    assert.deepEqual(await compare(), { compared: 620 });
  });

  it("shows that its end was cut off, which the chain cannot", async () => {
    await record(5);
    await ship();
    await tamper("DELETE FROM audit_log WHERE id > 3");
    assert.deepEqual((await verifyChain(test.store)).broken, undefined);
    const { broken } = await compare();
    assert.equal(broken?.id, 4);
    assert.match(broken.reason, /gone from here/);
    await record(4); // the chain grows on over it
    assert.deepEqual((await verifyChain(test.store)).broken, undefined);
    assert.equal((await compare()).broken?.id, 4);
  });

  it("shows that all of it was removed", async () => {
    await record(3);
    await ship();
    await tamper("TRUNCATE audit_log");
    assert.equal((await verifyChain(test.store)).rows, 0);
    assert.equal((await compare()).broken?.id, 1);
  });

  it("shows that the chain was made anew", async () => {
    await record(4);
    await ship();
    await tamper("TRUNCATE audit_log RESTART IDENTITY");
    await record(4);
    assert.deepEqual((await verifyChain(test.store)).broken, undefined);
    const { broken } = await compare();
    assert.equal(broken?.id, 1);
    assert.match(broken.reason, /another one/);
  });

  it("takes an event that came twice for one, however many did", async () => {
    await record(300);
    await ship();
    await test.admin("INSERT INTO audit_outbox SELECT id, '' FROM audit_log");
    await ship();
    await test.admin("INSERT INTO audit_outbox SELECT id, '' FROM audit_log WHERE id < 200");
    await ship();
    assert.deepEqual(await compare(), { compared: 300 });
  });

  it("is not that of another platform, nor of what else is logged there", async () => {
    await record(2);
    await ship("production");
    await citadel.ingest(tenant, [
      {
        ...{ message: "no audit event", level: "info", timestamp: new Date().toISOString() },
        ...{ service: "rdev-infra", environment: "staging", target: "main" },
        fields: { event_id: 99 },
      },
    ]);
    assert.deepEqual(await compare(), { compared: 0 });
  });
});
