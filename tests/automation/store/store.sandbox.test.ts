import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { migrate } from "../../../automation/store/migrate.ts";
import { ProjectRecords } from "../../../automation/store/project-records.ts";
import { Projects } from "../../../automation/store/projects.ts";
import { Store } from "../../../automation/store/store.ts";
import { rejected } from "../../support/errors.ts";
import { createTestStore, type TestStore } from "../../support/test-store.ts";

describe("the store", () => {
  let test: TestStore;
  before(async () => void (test = await createTestStore({ migrated: false })));
  after(() => test.drop());

  it("reports a missing migration, and the command for it", async () => {
    await rejected(new Projects(test.store).list(), /rdev-infra store migrate/);
  });

  it("is migrated once by concurrent migrations", async () => {
    const { ownerUrl, serviceRole } = test;
    const all = await Promise.all(
      Array.from({ length: 8 }, () => migrate({ ownerUrl, serviceRole })),
    );
    const names = ["001-projects", "002-citadel-tenant-id", "003-audit"];
    assert.deepEqual(all.flat().slice(0, names.length), names);
    assert.equal(new Set(all.flat()).size, all.flat().length);
    assert.deepEqual(await migrate({ ownerUrl, serviceRole }), []);
  });

  it("stores a project with its tenant id", async () => {
    const projects = new Projects(test.store);
    const project = { slug: "shop", platform: "staging", name: "Shop", citadelTenantId: null };
    await projects.put(project);
    const found = await projects.find("shop");
    assert.ok(found);
    assert.deepEqual({ ...found, ...project }, found);
    const citadelTenantId = randomUUID();
    await projects.update("shop", { citadelTenantId });
    const all = await projects.list();
    assert.deepEqual(
      all.map((each) => each.citadelTenantId),
      [citadelTenantId],
    );
    await projects.put({ ...project, name: "The Shop", citadelTenantId });
    assert.equal((await projects.find("shop"))?.name, "The Shop");
    await projects.remove("shop");
    assert.equal(await projects.find("shop"), undefined);
  });

  it("goes on reading a project while a later version adds columns", async () => {
    const one = new Store({ url: test.url, connections: 1 });
    const records = new ProjectRecords(one);
    await new Projects(one).put({
      slug: "later",
      platform: "staging",
      name: "Later",
      citadelTenantId: null,
    });
    const before = await records.find("later");
    assert.equal(before?.name, "Later");
    for (const table of ["projects", "operations", "audit_log"]) {
      await test.admin(`ALTER TABLE ${table} ADD COLUMN of_later text DEFAULT 'later'`);
    }
    assert.deepEqual(await records.find("later"), before);
    assert.deepEqual(await records.list({ limit: 1, slugs: ["later"] }), [before]);
    for (const table of ["projects", "operations", "audit_log"]) {
      await test.admin(`ALTER TABLE ${table} DROP COLUMN of_later`);
    }
    await new Projects(one).remove("later");
    assert.equal(await records.find("later"), undefined);
    await one.close();
  });

  it("goes on after the server closed its connections", async () => {
    const projects = new Projects(test.store);
    await projects.list();
    await test.admin(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity " +
        "WHERE datname = current_database() AND pid <> pg_backend_pid()",
    );
    await projects.list().catch(() => undefined);
    assert.deepEqual(await projects.list(), []);
  });

  it("names the variable, and no password, if the server is down or refuses", async () => {
    const down = Object.assign(new URL(test.url), { port: "1" });
    const wrong = Object.assign(new URL(test.url), { password: "wrong-Passw0rd" });
    for (const [url, code] of [
      [down, "RDEV_UNREACHABLE"],
      [wrong, "RDEV_UNAUTHORIZED"],
    ] as const) {
      const store = new Store({ url: url.href });
      const error = await rejected(new Projects(store).list(), /DATABASE_URL/);
      assert.equal(error.name, code);
      assert.ok(!`${error.message} ${error.stack}`.includes("Passw0rd"));
      await store.close();
    }
  });
});
