import assert from "node:assert/strict";
import { runFleet, tick } from "../../../automation/fleet/loop.ts";
import { migrate } from "../../../automation/store/migrate.ts";
import { Store } from "../../../automation/store/store.ts";
import { until } from "../../../sandbox/process.ts";
import { embeddedStore } from "../../support/embedded-store.ts";

describe("the fleet's loop", function () {
  this.timeout(60_000);
  let test: Awaited<ReturnType<typeof embeddedStore>>;
  let store: Store;
  let replica: Store;

  before(async () => {
    test = await embeddedStore();
    await migrate(test);
    store = new Store({ url: test.url });
    replica = new Store({ url: test.url });
  });
  after(async () => {
    await Promise.all([store.close(), replica.close()]);
    await test.close();
  });

  const fails = (name: string, error: unknown) => assert.fail(`${name}: ${String(error)}`);

  it("calls tasks on one replica at a time, and keeps no transaction open meanwhile", async () => {
    const called: string[] = [];
    const other = { name: "other", run: async () => void called.push("other") };
    const long = {
      name: "long",
      async run() {
        called.push("long");
        await tick(replica, [other], fails);
        // PostgreSQL would end the session of a transaction that is idle for a minute, and with it the lock.
        const idle = "SELECT pid FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'";
        assert.deepEqual(await test.admin(idle), []);
      },
    };
    await tick(store, [long], fails);
    assert.deepEqual(called, ["long"]);
    await tick(replica, [other], fails);
    assert.deepEqual(called, ["long", "other"]);
  });

  it("calls the other tasks and is free again after a task has failed", async () => {
    const failures: unknown[] = [];
    const called: string[] = [];
    const tasks = [
      { name: "bad", run: () => Promise.reject(new Error("on purpose")) },
      { name: "good", run: async () => void called.push("good") },
    ];
    for (const each of [store, replica]) {
      await tick(each, tasks, (name, error) => failures.push([name, (error as Error).message]));
    }
    assert.deepEqual(called, ["good", "good"]);
    assert.deepEqual(failures, Array(2).fill(["bad", "on purpose"]));
  });

  it("logs a cause that lasts once", async () => {
    const lines: object[] = [];
    const stop = new AbortController();
    let calls = 0;
    const tasks = [
      { name: "bad", run: () => Promise.reject(new Error("no platform")) },
      { name: "good", run: async () => void (calls += 1) },
    ];
    const log = { warn: (fields: object) => void lines.push(fields) };
    const ended = runFleet({ store, tasks, log, tickMs: 5 }, stop.signal);
    await until(() => assert.ok(calls >= 3));
    stop.abort();
    await ended;
    assert.deepEqual(lines, [
      { component: "fleet", task: "bad", error: "RDEV_INTERNAL: no platform" },
    ]);
  });
});
