import assert from "node:assert/strict";
import { Operations } from "../../../automation/operations/operations.ts";
import type { Submission } from "../../../automation/operations/submission.ts";
import { openQueue, QUEUE } from "../../../automation/store/queue.ts";
import { ProjectRecords } from "../../../automation/store/project-records.ts";
import { createTestStore, type TestStore } from "../../support/test-store.ts";

describe("Operations", function () {
  this.timeout(400_000);
  let test: TestStore;
  let operations: Operations;

  beforeEach(async () => {
    test = await createTestStore();
    operations = new Operations(test.store);
  });
  afterEach(async () => {
    await operations.close();
    await test.drop();
  });

  const up = (name: string, more: Partial<Submission> = {}) =>
    operations.submit({
      platform: "staging",
      slug: "shop",
      actor: "ada",
      ifBusy: "wait",
      request: { kind: "up", settings: { name }, onFailure: "keep" },
      ...more,
    });

  it("runs a thousand concurrent operations of one project one by one, in the order of their ids", async () => {
    await operations.close();
    operations = new Operations(test.store, { maxOpen: 1_000 });
    const other = new Operations(test.store, { maxOpen: 1_000 });
    const all = await Promise.all(
      Array.from({ length: 1000 }, (_, index) =>
        (index % 2 ? other : operations).submit({
          platform: "staging",
          slug: "shop",
          actor: "ada",
          ifBusy: "wait",
          request: { kind: "up", settings: { name: `n${index}` }, onFailure: "keep" },
        }),
      ),
    );
    await other.close();
    assert.equal(new Set(all.map(({ operation }) => operation.id)).size, 1000);
    const shop = await new ProjectRecords(test.store).find("shop");
    const [last] = await test.admin(
      "SELECT settings FROM operations ORDER BY created_at DESC, id DESC",
    );
    assert.deepEqual(shop?.settings, last?.["settings"]); // the last operation decides the settings

    const boss = openQueue(test.store);
    await boss.start();
    const order: string[] = [];
    for (let round = 0; round < 20; round++) {
      const jobs = await boss.fetch(QUEUE, { batchSize: 10 });
      assert.equal(jobs.length, 1);
      assert.deepEqual(await boss.fetch(QUEUE, { batchSize: 10 }), []);
      order.push(jobs[0]!.id);
      await boss.complete(QUEUE, jobs[0]!);
    }
    await boss.stop({ graceful: false });
    const first = await test.admin("SELECT id FROM operations ORDER BY created_at, id LIMIT 20");
    assert.deepEqual(
      order,
      first.map(({ id }) => id),
    );
  });

  it("refuses an operation while another of the project waits, and names its id, if the caller asks for that", async () => {
    const { operation } = await up("Shop");
    await assert.rejects(up("Shop", { ifBusy: "refuse" }), (error: Error) => {
      assert.equal(error.name, "RDEV_BUSY");
      assert.ok(error.message.includes(operation.id));
      return true;
    });
    await up("Other", { slug: "other", ifBusy: "refuse" });
  });

  it("allows 20 open operations per project", async () => {
    const open = await Promise.allSettled(Array.from({ length: 30 }, () => up("Shop")));
    const accepted = open.filter(({ status }) => status === "fulfilled");
    assert.equal(accepted.length, 20);
    await assert.rejects(up("Shop"), (error: Error) => {
      assert.equal(error.name, "RDEV_BUSY");
      assert.match(error.message, /^20 operations of "shop" run or wait already/);
      return true;
    });
    await up("Other", { slug: "other" });
    const [waiting] = await operations.list({ slugs: ["shop"], limit: 1 });
    await operations.cancel(waiting!.id, "ada");
    await up("Shop");
  });

  it("gives every other turn to a key with few operations", async () => {
    for (let n = 1; n <= 6; n++) await up("many", { slug: `many-${n}` });
    for (let n = 1; n <= 2; n++) await up("few", { slug: `few-${n}`, actor: "bob" });
    const boss = openQueue(test.store);
    await boss.start();
    const order: string[] = [];
    for (let round = 0; round < 8; round++) {
      const [job] = await boss.fetch(QUEUE);
      const [row] = await test.admin(
        `UPDATE operations SET state = 'succeeded', started_at = now() WHERE id = '${job!.id}'
         RETURNING slug`,
      );
      order.push(String(row!["slug"]));
      await boss.complete(QUEUE, job!);
      // The new operation of a key comes after those that wait already.
      if (round === 3) await up("few", { slug: "few-3", actor: "bob" });
    }
    await boss.stop({ graceful: false });
    assert.deepEqual(order, [
      ...["many-1", "few-1", "many-2", "few-2"],
      ...["many-3", "few-3", "many-4", "many-5"],
    ]);
  });

  it("queues an operation and writes its audit event in one transaction", async () => {
    const { operation } = await up("Shop");
    const [row] = await test.admin("SELECT action, actor, details FROM audit_log");
    assert.deepEqual([row?.["action"], row?.["actor"]], ["operation.submit", "ada"]);
    assert.equal((row?.["details"] as { operation: string }).operation, operation.id);
    await test.admin(`REVOKE INSERT ON audit_log FROM ${test.serviceRole}`);
    await assert.rejects(up("Other", { slug: "other" }), { code: "RDEV_FORBIDDEN" });
    await assert.rejects(operations.cancel(operation.id, "bob"), { code: "RDEV_FORBIDDEN" });
    assert.equal((await operations.list({ limit: 10 })).length, 1);
    assert.equal((await operations.find(operation.id))?.state, "queued");
    assert.deepEqual(await test.admin("SELECT slug FROM projects"), [{ slug: "shop" }]);
  });

  it("returns the same operation for the same Idempotency-Key and request, and refuses another request", async () => {
    const idempotency = { key: "k1", fingerprint: "a" };
    const all = await Promise.all(Array.from({ length: 20 }, () => up("Shop", { idempotency })));
    assert.equal(new Set(all.map(({ operation }) => operation.id)).size, 1);
    assert.equal(all.filter(({ replayed }) => !replayed).length, 1);
    await assert.rejects(up("Shop", { idempotency: { key: "k1", fingerprint: "b" } }), {
      code: "RDEV_IDEMPOTENCY",
    });
    const twice = await Promise.allSettled(
      ["one", "two", "three"].map((slug) =>
        up("Shop", { slug, idempotency: { key: "k2", fingerprint: slug } }),
      ),
    );
    assert.equal(twice.filter(({ status }) => status === "fulfilled").length, 1);
    // Each actor has keys of its own.
    assert.equal((await up("Shop", { idempotency, actor: "bob" })).replayed, false);
  });

  it("keeps the settings that are not named, and stores nothing of a refused request", async () => {
    await up("Shop", {
      request: { kind: "up", settings: { name: "Shop", retainData: true }, onFailure: "keep" },
    });
    await up("The Shop");
    const { name, settings } = (await new ProjectRecords(test.store).find("shop"))!;
    assert.equal(name, "The Shop");
    assert.deepEqual(settings, { name: "The Shop", retainData: true });
    await assert.rejects(up("Shop", { platform: "production" }), { code: "RDEV_CONFLICT" });
    for (const request of [{ kind: "refresh" }, { kind: "destroy" }] as const) {
      await assert.rejects(up("", { slug: "nowhere", request }), { code: "RDEV_NOT_FOUND" });
    }
    assert.equal((await operations.list({ limit: 10 })).length, 2);
  });

  it("lists operations newest first, by page and by filter", async () => {
    for (const slug of ["one-app", "two-app"])
      for (const name of ["a", "b"]) await up(name, { slug });
    const all = await operations.list({ limit: 10 });
    assert.deepEqual(
      all.map(({ slug }) => slug),
      ["two-app", "two-app", "one-app", "one-app"],
    );
    assert.deepEqual(await operations.list({ limit: 2, before: all[1]!.id }), all.slice(2));
    assert.deepEqual(await operations.list({ limit: 10, slugs: ["one-app"] }), all.slice(2));
    assert.deepEqual(await operations.list({ limit: 10, state: "running" }), []);
    assert.deepEqual(await operations.list({ limit: 1, slugs: ["two-app"] }), all.slice(0, 1));
  });

  it("cancels a queued operation at once, and reports it to followers", async () => {
    const { operation } = await up("Shop");
    const followed = (async () => {
      const states = [];
      for await (const { event } of operations.follow(operation.id, 0, AbortSignal.timeout(20_000)))
        states.push("state" in event && event.state);
      return states;
    })();
    assert.equal((await operations.cancel(operation.id, "bob")).state, "cancelled");
    assert.deepEqual(await followed, ["queued", "cancelled"]);
    assert.equal((await operations.cancel(operation.id, "bob")).state, "cancelled");
    await up("Shop", { ifBusy: "refuse" });
  });
});
