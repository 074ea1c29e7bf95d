import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { listAudit } from "../../../automation/audit/queries.ts";
import { backlog } from "../../../automation/audit/outbox.ts";
import { verifyChain } from "../../../automation/audit/verify.ts";
import { NO_CHANGES, type Outcome } from "../../../core/operation.ts";
import {
  recordOperation,
  type Recording,
} from "../../../automation/operations/record-operation.ts";
import { Projects } from "../../../automation/store/projects.ts";
import { Store } from "../../../automation/store/store.ts";
import { markOf } from "../../../core/ownership.ts";
import { Citadel } from "../../../providers/citadel/client.ts";
import { startCitadel } from "../../../sandbox/citadel/server.ts";
import { createTestStore, type TestStore } from "../../support/test-store.ts";
import { testVariables } from "../../support/variables.ts";
import { testOwner } from "../../support/owner.ts";

const TENANT = randomUUID();
const NOWHERE = { CITADEL_URL: "http://127.0.0.1:1", CITADEL_API_KEY: "ck_test" };

const SUCCEEDED: Outcome = {
  result: "succeeded",
  changes: { ...NO_CHANGES, create: 3 },
  outputs: { slug: "shop", name: "The Shop", citadelTenantId: TENANT },
  durationMs: 10,
  errors: [],
};
const FAILED: Outcome = {
  result: "failed",
  changes: { ...NO_CHANGES, create: 2 },
  outputs: {},
  durationMs: 10,
  errors: [{ code: "RDEV_UNREACHABLE", message: "Gitea is down" }],
};
/** Refused before the engine ran. */
const REFUSED: Outcome = {
  result: "failed",
  changes: NO_CHANGES,
  outputs: {},
  durationMs: 1,
  errors: [{ code: "RDEV_CONNECTION", message: "variables are missing" }],
};
const CANCELLED: Outcome = { ...FAILED, result: "cancelled", errors: [] };

describe("recordOperation", () => {
  let test: TestStore;
  const set = testVariables();

  beforeEach(async () => {
    test = await createTestStore();
    set({ CITADEL_ENABLED: undefined, ...NOWHERE });
  });
  afterEach(() => test.drop());

  const operate = (
    operation: Recording["operation"],
    outcome: Outcome,
    more: Partial<Recording> = {},
  ) =>
    recordOperation(
      { store: test.store, actor: "ada@laptop", stack: "staging.shop", operation, ...more },
      () => Promise.resolve(outcome),
    );
  const rows = () => listAudit(test.store, { limit: 100 });
  const actions = async () => (await rows()).map(({ action, result }) => `${action} ${result}`);
  const project = () => new Projects(test.store).find("shop");

  it("writes the intent before the operation and the result after it", async () => {
    const outcome = await recordOperation(
      {
        store: test.store,
        actor: "ada@laptop",
        stack: "staging.shop",
        operation: "up",
        id: "op-1",
        details: { config: { template: "skeleton" } },
      },
      async () => {
        assert.deepEqual(await actions(), ["project.create started"]);
        assert.equal((await project())?.citadelTenantId, null);
        return SUCCEEDED;
      },
    );
    assert.deepEqual(outcome, SUCCEEDED);
    const [intent, end] = await rows();
    const asked = { stack: "staging.shop", config: { template: "skeleton" }, operation: "op-1" };
    assert.deepEqual(intent?.details, asked);
    assert.deepEqual(end?.details, { ...asked, changes: SUCCEEDED.changes });
    assert.deepEqual(
      [end.action, end.project_id, end.actor, end.result, end.component],
      ["project.create", "shop", "ada@laptop", "success", "infra"],
    );
    assert.ok(end.duration_ms !== null && end.duration_ms < 60_000);
    assert.equal((await verifyChain(test.store)).rows, 2);
    assert.equal((await backlog(test.store)).waiting, 2);
  });

  it("calls the first up, and an up after a destroy, a creation, and others updates", async () => {
    for (const [operation, outcome] of [
      ["up", FAILED],
      ["up", SUCCEEDED],
      ["up", FAILED],
      ["up", SUCCEEDED],
      ["refresh", SUCCEEDED],
      ["destroy", SUCCEEDED],
      ["up", SUCCEEDED],
    ] as const) {
      await operate(operation, outcome);
    }
    await operate("up", SUCCEEDED, { stack: "staging.blog" });
    await operate("up", { ...SUCCEEDED, outputs: {} }, { stack: "staging" });
    await operate("up", { ...SUCCEEDED, outputs: {} }, { stack: "staging" });
    await operate("destroy", SUCCEEDED, { stack: "staging" });
    assert.deepEqual(
      (await actions()).filter((each) => !each.endsWith("started")),
      [
        ...["project.create failure", "project.create success"],
        ...["project.update failure", "project.update success"],
        ...["project.refresh success", "project.destroy success", "project.create success"],
        "project.create failure", // the blog with the shop's tenant: see the next test
        ...["platform.create success", "platform.update success", "platform.destroy success"],
      ],
    );
  });

  it("reports both the operation's changes and what could not be stored", async () => {
    await operate("up", SUCCEEDED);
    const blog = await operate("up", SUCCEEDED, { stack: "staging.blog" });
    assert.deepEqual([blog.result, blog.changes], ["failed", SUCCEEDED.changes]);
    assert.match(blog.errors[0]?.message ?? "", /citadel_tenant_id/);
  });

  for (const [what, outcome, cancelled] of [
    ["failed", FAILED, undefined],
    ["was cancelled", CANCELLED, true],
  ] as const) {
    it(`is a failure in the record when it ${what}`, async () => {
      assert.deepEqual(await operate("refresh", outcome), outcome);
      const [, end] = await rows();
      const { changes, errors } = outcome;
      const { operation: _, ...details } = end!.details;
      assert.equal(end?.result, "failure");
      assert.deepEqual(details, {
        stack: "staging.shop",
        changes,
        errors,
        ...(cancelled && { cancelled }),
      });
    });
  }

  it("does nothing if the intent cannot be written", async () => {
    const down = Object.assign(new URL(test.url), { port: "1" });
    const unreachable = new Store({ url: down.href });
    const unmigrated = await createTestStore({ migrated: false });
    await test.admin("REVOKE INSERT ON audit_log FROM PUBLIC, " + test.serviceRole);
    for (const [store, code, said] of [
      [unreachable, "RDEV_UNREACHABLE", /^Nothing was done\. PostgreSQL at/],
      [unmigrated.store, "RDEV_STORE", /^Nothing was done\. .*rdev-infra store migrate/],
      [test.store, "RDEV_FORBIDDEN", /^Nothing was done\. .*audit_log/],
    ] as const) {
      for (const operation of ["up", "refresh", "destroy"] as const) {
        const outcome = await recordOperation(
          { store, actor: "ada", stack: "staging.shop", operation, remove: true },
          () => assert.fail("it was done"),
        );
        assert.equal(outcome.result, "failed");
        assert.equal(outcome.errors[0]?.code, code);
        assert.match(outcome.errors[0].message, said);
      }
    }
    assert.equal(await project(), undefined);
    await unreachable.close();
    await unmigrated.drop();
  });

  it("does nothing for an actor without a name", async () => {
    const outcome = await operate("up", SUCCEEDED, { actor: "" });
    assert.deepEqual([outcome.result, outcome.errors[0]?.code], ["failed", "RDEV_AUDIT"]);
    assert.deepEqual(await actions(), []);
  });

  it("reports the operation's changes if the result cannot be written", async () => {
    const outcome = await recordOperation(
      { store: test.store, actor: "ada", stack: "staging.shop", operation: "up" },
      async () => {
        await test.admin("ALTER TABLE audit_outbox RENAME TO gone");
        return SUCCEEDED;
      },
    );
    assert.deepEqual([outcome.result, outcome.changes], ["failed", SUCCEEDED.changes]);
    assert.equal(outcome.errors[0]?.code, "RDEV_AUDIT");
    assert.match(outcome.errors[0].message, /^project\.create ended with success, but/);
    assert.deepEqual(await actions(), ["project.create started"]);
  });

  it("needs no Citadel and ships nothing if Citadel is disabled", async () => {
    set({ CITADEL_ENABLED: "false" });
    await operate("up", { ...SUCCEEDED, outputs: { citadelTenantId: "disabled" } });
    assert.equal((await verifyChain(test.store)).rows, 2);
    assert.equal((await backlog(test.store)).waiting, 0);
    assert.equal((await project())?.citadelTenantId, null);
  });

  describe("updates the project's row", () => {
    const shop = {
      slug: "shop",
      platform: "staging",
      name: "The Shop",
      citadelTenantId: TENANT,
      settings: {},
      wasUp: true,
      templateSeed: null,
    };

    it("with the name and tenant id, which a failure keeps", async () => {
      await operate("up", SUCCEEDED);
      assert.deepEqual(await project(), shop);
      await operate("up", FAILED);
      await operate("up", CANCELLED);
      await operate("destroy", FAILED, { remove: true });
      assert.deepEqual(await project(), shop);
    });

    it("with the tenant id of an up that failed after creating the tenant", async () => {
      await operate("up", { ...FAILED, outputs: SUCCEEDED.outputs });
      assert.deepEqual(await project(), { ...shop, wasUp: false });
    });

    it("with the tenant id from Citadel if a failed up has no outputs", async () => {
      const standIn = await startCitadel({ organization: "orchard9" });
      set({ CITADEL_URL: standIn.url, CITADEL_API_KEY: standIn.apiKey });
      const environments = new Citadel().environments;
      const wanted = { slug: "shop", name: "shop", organization: "orchard9" };
      const stranger = await environments.create({ ...wanted, metadata: {} });
      await operate("up", FAILED);
      assert.equal((await project())?.citadelTenantId, null);
      await environments.delete(stranger.id);
      const own = await environments.create({
        ...wanted,
        metadata: { ...markOf(testOwner("shop")) },
      });
      await operate("up", CANCELLED);
      assert.equal((await project())?.citadelTenantId, own.id);
      await standIn.close();
    });

    it("before anything is created, and removes it if nothing was created", async () => {
      await operate("up", REFUSED);
      assert.equal(await project(), undefined);
      await operate("up", FAILED);
      assert.deepEqual(await project(), {
        ...shop,
        name: "shop",
        citadelTenantId: null,
        wasUp: false,
      });
      await operate("up", REFUSED);
      assert.notEqual(await project(), undefined);
    });

    it("without a tenant id after a destroy, and deletes it with the stack's record", async () => {
      await operate("up", SUCCEEDED);
      await operate("destroy", SUCCEEDED);
      assert.deepEqual(await project(), { ...shop, citadelTenantId: null, wasUp: false });
      await operate("destroy", SUCCEEDED, { remove: true });
      assert.equal(await project(), undefined);
    });

    it("and refuses a slug of another platform", async () => {
      await operate("up", SUCCEEDED);
      const outcome = await operate("destroy", SUCCEEDED, { stack: "prod.shop", remove: true });
      assert.equal(outcome.errors[0]?.code, "RDEV_NOT_OURS");
      assert.deepEqual(await project(), shop);
      assert.equal((await rows()).length, 2);
    });
  });
});
