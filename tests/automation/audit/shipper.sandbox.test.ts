import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { Registry } from "prom-client";
import { type AuditEvent, MultiWriter } from "../../../automation/audit/log.ts";
import {
  backlog,
  dueRows,
  refusedRows,
  registerAuditMetrics,
  requeueRefused,
  tryShipperLock,
} from "../../../automation/audit/outbox.ts";
import { CitadelShipper, type ShipperOptions } from "../../../automation/audit/shipper.ts";
import { InfraError } from "../../../core/errors.ts";
import { Citadel } from "../../../providers/citadel/client.ts";
import type { CitadelEvent, IngestReport } from "../../../providers/citadel/port.ts";
import { type Citadel as StandIn, startCitadel } from "../../../sandbox/citadel/server.ts";
import { type FaultyProxy, startFaultyProxy } from "../../support/faulty-proxy.ts";
import { createTestStore, type TestStore } from "../../support/test-store.ts";

const EVENT: AuditEvent = {
  action: "project.create",
  projectId: "shop",
  actor: "ada@example.test",
  component: "infra",
  result: "success",
  durationMs: 6_000,
};

describe("the audit shipper", () => {
  let test: TestStore;
  let log: MultiWriter;
  let standIn: StandIn;
  let citadel: Citadel;
  let tenant: string;
  const failures: InfraError[] = [];

  before(async () => {
    standIn = await startCitadel({ organization: "orchard9" });
    citadel = new Citadel({ url: standIn.url, apiKey: standIn.apiKey });
  });
  after(() => standIn.close());

  beforeEach(async () => {
    test = await createTestStore();
    log = new MultiWriter(test.store);
    failures.length = 0;
    tenant = (
      await citadel.environments.create({
        slug: `platform-${test.serviceRole.slice(-12)}`,
        name: "platform",
        organization: "orchard9",
        metadata: {},
      })
    ).id;
  });
  afterEach(async () => {
    standIn.misbehave(undefined);
    await test.drop();
  });

  function shipper(options: Partial<ShipperOptions> = {}): CitadelShipper {
    return new CitadelShipper({
      store: test.store,
      citadel,
      tenant: async () => tenant,
      platform: "staging",
      onFailure: (error) => void failures.push(error),
      poll: 5,
      ...options,
    });
  }

  async function record(count: number, event: Partial<AuditEvent> = {}): Promise<void> {
    for (let left = count; left > 0; left -= 1) await log.record({ ...EVENT, ...event });
  }

  /** Makes all postponed events due. */
  async function skipWaits(): Promise<void> {
    await test.admin("UPDATE audit_outbox SET next_at = now()");
  }

  /** Ids of the events that Citadel has, in ascending order. */
  async function inCitadel(cpl = "target:audit"): Promise<number[]> {
    const { entries } = await citadel.query({ tenant }, cpl, { range: "7d", limit: 500 });
    return entries
      .toReversed()
      .map(({ metadata }) => Number(metadata["event_id"]))
      .sort((a, b) => a - b);
  }

  /** A Citadel that keeps the events it takes, in order of arrival. */
  function recorder(answer?: (events: readonly CitadelEvent[]) => IngestReport | undefined) {
    const taken: CitadelEvent[] = [];
    const ingest = async (_tenant: string, events: readonly CitadelEvent[]) => {
      const report = answer?.(events);
      if (!report) taken.push(...events);
      return report ?? { accepted: events.length, refused: [] };
    };
    const ids = () => taken.map(({ fields }) => Number(fields?.["event_id"]));
    return { ingest, taken, ids };
  }

  it("ships events that the plan's queries find", async () => {
    await log.record(EVENT);
    await log.record({ ...EVENT, action: "build.run", component: "build", result: "failure" });
    await log.record({ ...EVENT, projectId: "blog", component: "saga", result: "failure" });
    await log.record({ ...EVENT, component: "http", durationMs: 4_000 });
    assert.deepEqual(await shipper().drain(), {
      state: "idle",
      shipped: 4,
      refused: 0,
      postponed: 0,
    });
    for (const [cpl, ids] of [
      ["action:project.create", [1, 3, 4]],
      ["project_id:blog", [3]],
      ["component:build level:error", [2]],
      ["component:saga result:failure", [3]],
      ["level:error", [2, 3]],
    ] as const) {
      assert.deepEqual(await inCitadel(cpl), ids, cpl);
    }
    const { entries } = await citadel.query({ tenant }, "project_id:blog", { range: "1h" });
    assert.equal(entries[0]?.message, "project.create blog failure");
    assert.equal(entries[0].metadata["environment"], "staging");
    assert.equal(entries[0].metadata["duration_ms"], 6_000);
    assert.equal(entries[0].metadata["actor"], "ada@example.test");
    assert.match(String(entries[0].metadata["hash"]), /^[0-9a-f]{64}$/);
    assert.deepEqual(await backlog(test.store), { waiting: 0, oldestSeconds: 0, refused: 0 });
  });

  for (const [outage, fault, code] of [
    ["500", { status: 500 }, "RDEV_UNREACHABLE"],
    ["503", { status: 503 }, "RDEV_UNREACHABLE"],
    ["a reset", { reset: true }, "RDEV_UNREACHABLE"],
    ["401", { status: 401 }, "RDEV_UNAUTHORIZED"],
    ["403", { status: 403 }, "RDEV_FORBIDDEN"],
    ["429 for an hour", { status: 429, headers: { "retry-after": "3600" } }, "RDEV_RATE_LIMITED"],
  ] as const) {
    it(`keeps all events through an outage (${outage}), and then ships them`, async () => {
      await record(5);
      await record(5, { projectId: "blog" });
      standIn.misbehave({ ...fault, match: { path: /ingest/ } });
      const one = shipper();
      for (let tries = 0; tries < 3; tries += 1) {
        const { state, wait } = await one.ship();
        if (state !== "idle") assert.ok(wait <= 15 * 60_000);
        await skipWaits();
      }
      assert.equal(failures[0]?.code, code);
      // Actions go on while Citadel is down.
      await record(1);
      assert.equal((await backlog(test.store)).waiting, 11);
      standIn.misbehave(undefined);
      await shipper().drain();
      assert.deepEqual(
        await inCitadel(),
        Array.from({ length: 11 }, (_, index) => index + 1),
      );
      assert.equal((await backlog(test.store)).waiting, 0);
    });
  }

  it("backs off up to a maximum, and waits as long as Citadel asks", async () => {
    await record(1);
    const waits: number[] = [];
    const down = new InfraError("RDEV_UNREACHABLE", "down");
    const ingest = () => Promise.reject(down);
    const one = shipper({ citadel: { ingest } });
    for (let tries = 0; tries < 12; tries += 1) {
      waits.push((await one.ship()).wait);
      await skipWaits();
    }
    assert.ok(waits[0]! <= 500);
    assert.ok(waits[4]! > waits[0]! * 4);
    assert.ok(waits.every((wait) => wait <= 60_000));
    const limited = new InfraError("RDEV_RATE_LIMITED", "slow", { retryAfter: 120_000 });
    const { wait } = await shipper({ citadel: { ingest: () => Promise.reject(limited) } }).ship();
    assert.equal(wait, 120_000);
    assert.deepEqual(await shipper({ citadel: recorder() }).drain(), {
      state: "idle",
      shipped: 0,
      refused: 0,
      postponed: 0, // other shippers wait, too
    });
  });

  it("looks up the tenant again until it exists", async () => {
    await record(1);
    let known = false;
    const one = shipper({
      tenant: async () => {
        if (known) return tenant;
        throw new InfraError("RDEV_TENANT", "none yet");
      },
    });
    assert.equal((await one.ship()).state, "failed");
    known = true;
    assert.equal((await one.ship()).shipped, 1);
  });

  it("ships each project's events in order, and once, with concurrent writers and three shippers", async () => {
    const to = recorder();
    const slow = {
      async ingest(...args: Parameters<typeof to.ingest>) {
        await sleep(Math.random() * 8);
        return to.ingest(...args);
      },
    };
    const stop = new AbortController();
    const shippers = [1, 2, 3].map(() => shipper({ citadel: slow }).run(stop.signal));
    const projects = ["a-1", "a-2", "a-3", "a-4"];
    await Promise.all(projects.map((projectId) => record(60, { projectId })));
    while ((await backlog(test.store)).waiting > 0) await sleep(10);
    stop.abort();
    await Promise.all(shippers);
    assert.equal(new Set(to.ids()).size, 240);
    assert.equal(to.taken.length, 240);
    assert.deepEqual(
      to.ids(),
      to.ids().toSorted((a, b) => a - b),
    );
    assert.deepEqual(failures, []);
  });

  it("marks a refused event, and ships the others", async () => {
    await record(2);
    await record(1, { actor: "bad" });
    await record(2);
    const to = recorder((events) => {
      const index = events.findIndex(({ fields }) => fields?.["actor"] === "bad");
      if (index < 0) return undefined;
      return { accepted: events.length - 1, refused: [{ index, reason: "no good" }] };
    });
    assert.deepEqual(await shipper({ citadel: to }).drain(), {
      state: "idle",
      shipped: 4,
      refused: 1,
      postponed: 0,
    });
    const { waiting, refused } = await backlog(test.store);
    assert.deepEqual({ waiting, refused }, { waiting: 0, refused: 1 });
    const [row] = await refusedRows(test.store);
    assert.equal(row?.id, 3);
    assert.match(row.reason, /no good/);
    assert.equal(await requeueRefused(test.store), 1);
    assert.equal((await shipper().drain()).shipped, 1);
    assert.deepEqual(await inCitadel(), [3]);
  });

  for (const count of [1, 2, 10, 120]) {
    it(`marks none of ${count} events as refused while Citadel refuses all, and ships them later`, async () => {
      await record(count);
      standIn.misbehave({ status: 400, body: '{"error":"no"}', match: { path: /ingest/ } });
      const one = shipper();
      for (let tries = 0; tries < 3; tries += 1) {
        const { state, shipped, refused } = await one.drain();
        assert.deepEqual([state, shipped, refused], ["failed", 0, 0]);
        await skipWaits();
      }
      assert.equal(failures[0]?.code, "RDEV_REFUSED");
      assert.match(failures[0].message, /^Citadel took none of the events: .*no/);
      const { waiting, refused } = await backlog(test.store);
      assert.deepEqual({ waiting, refused }, { waiting: count, refused: 0 });
      standIn.misbehave(undefined);
      assert.equal((await one.drain()).shipped, count);
      assert.equal((await inCitadel()).length, count);
    });
  }

  it("treats a refusal as final once another event was taken", async () => {
    const to = recorder((events) => {
      const refused = events.flatMap(({ fields }, index) =>
        fields?.["actor"] === "bad" ? [{ index, reason: "no good" }] : [],
      );
      return refused.length > 0 ? { accepted: 0, refused } : undefined;
    });
    const one = shipper({ citadel: to });
    await record(1, { actor: "bad" });
    assert.equal((await one.drain()).state, "failed");
    await skipWaits();
    assert.equal((await one.drain()).state, "failed");
    await record(1, { projectId: "blog" }); // is shipped while the other project waits
    assert.deepEqual(await one.drain(), { state: "idle", shipped: 1, refused: 0, postponed: 0 });
    await skipWaits();
    assert.deepEqual(await one.drain(), { state: "idle", shipped: 0, refused: 1, postponed: 0 });
    assert.equal((await refusedRows(test.store))[0]?.id, 1);
  });

  describe("with slow or broken answers", () => {
    let proxy: FaultyProxy;
    beforeEach(async () => void (proxy = await startFaultyProxy(standIn.url)));
    afterEach(() => proxy.close());

    /** Ships all events, with retries. Returns the copies that Citadel has of each. */
    async function shipAll(): Promise<Map<number, string[]>> {
      const client = new Citadel({ url: proxy.url, apiKey: standIn.apiKey });
      const one = shipper({ citadel: client, deadline: 500 });
      for (let tries = 0; tries < 5; tries += 1) {
        await one.drain();
        await skipWaits();
      }
      assert.equal((await backlog(test.store)).waiting, 0);
      const { entries } = await citadel.query({ tenant }, "target:audit", { limit: 500 });
      const copies = new Map<number, string[]>();
      for (const { id: _, ...entry } of entries) {
        const id = Number(entry.metadata["event_id"]);
        copies.set(id, [...(copies.get(id) ?? []), JSON.stringify(entry)]);
      }
      assert.deepEqual(
        [...copies.keys()].sort((a, b) => a - b),
        Array.from({ length: 12 }, (_, index) => index + 1),
      );
      for (const each of copies.values()) assert.equal(new Set(each).size, 1);
      return copies;
    }
    const most = (copies: Map<number, string[]>) =>
      Math.max(...[...copies.values()].map(({ length }) => length));

    beforeEach(() => record(12));

    it("loses no event if Citadel is slower than the deadline", async () => {
      proxy.misbehave({ match: { path: /ingest/ }, delayMs: 1_500, times: 2 });
      await shipAll();
      assert.equal(failures[0]?.code, "RDEV_DEADLINE");
    });

    it("resends events with the same ids if the answer is late", async () => {
      proxy.loseAnswers("POST", /ingest/, 2, 1_500);
      assert.equal(most(await shipAll()), 3);
      assert.equal(failures[0]?.code, "RDEV_DEADLINE");
    });

    it("resends events with the same ids if the connection is reset before the answer", async () => {
      proxy.loseAnswers("POST", /ingest/, 2);
      assert.equal(most(await shipAll()), 3);
      assert.equal(failures[0]?.code, "RDEV_UNREACHABLE");
    });

    it("resends events with the same ids if the answer is truncated", async () => {
      standIn.misbehave({ match: { path: /ingest/ }, truncate: true, times: 2 });
      assert.equal(most(await shipAll()), 3);
      assert.equal(failures[0]?.code, "RDEV_UNREACHABLE");
    });

    it("loses no event if an error answer is truncated", async () => {
      const body = JSON.stringify({ error: "no room", retry_after: 1 });
      standIn.misbehave({ match: { path: /ingest/ }, status: 503, body, truncate: true, times: 2 });
      assert.equal(most(await shipAll()), 1);
      assert.equal(failures[0]?.code, "RDEV_UNREACHABLE");
    });
  });

  it("delays only the project of an event that makes Citadel fail", async () => {
    await record(2, { projectId: "a-1" });
    await record(1, { projectId: "a-2", actor: "bad" });
    await record(2, { projectId: "a-2" });
    await record(2, { projectId: "a-3" });
    let fails = true;
    const to = recorder((events) => {
      if (fails && events.some(({ fields }) => fields?.["actor"] === "bad")) {
        throw new InfraError("RDEV_UNREACHABLE", "failed", { status: 500 });
      }
      return undefined;
    });
    await shipper({ citadel: to }).drain();
    assert.deepEqual(to.ids(), [1, 2, 6, 7]);
    await record(1, { projectId: "a-1" });
    await shipper({ citadel: to }).drain();
    assert.deepEqual(to.ids(), [1, 2, 6, 7, 8]);
    fails = false;
    await skipWaits();
    await shipper({ citadel: to }).drain();
    assert.deepEqual(to.ids(), [1, 2, 6, 7, 8, 3, 4, 5]);
  });

  it("goes on after a clock was set back", async () => {
    await record(2);
    // The server's clock was a day ahead when the event was postponed.
    await test.admin("UPDATE audit_outbox SET next_at = now() + interval '1 day'");
    assert.equal((await shipper().drain()).shipped, 2);
    const real = Date.now;
    try {
      Date.now = () => real() - 7 * 86_400_000;
      await record(2);
      assert.equal((await shipper().drain()).shipped, 2);
    } finally {
      Date.now = real;
    }
    assert.deepEqual(await inCitadel(), [1, 2, 3, 4]);
  });

  it("goes on after PostgreSQL closed its connection during a batch", async () => {
    await record(3);
    const to = recorder();
    let first = true;
    const ingest = async (...args: Parameters<typeof to.ingest>) => {
      if (first) {
        first = false;
        await test.admin(
          "SELECT pg_terminate_backend(pid) FROM pg_stat_activity " +
            "WHERE datname = current_database() AND pid <> pg_backend_pid()",
        );
      }
      return to.ingest(...args);
    };
    const one = shipper({ citadel: { ingest } });
    assert.equal((await one.ship()).state, "failed");
    assert.equal((await one.drain()).shipped, 3);
    // Citadel took them twice, with the same ids.
    assert.deepEqual(to.ids(), [1, 2, 3, 1, 2, 3]);
    assert.deepEqual(to.taken.slice(0, 3), to.taken.slice(3));
  });

  it("ships events that were recorded after its transaction began", async () => {
    await record(1);
    await test.store.transaction(async (transaction) => {
      await tryShipperLock(transaction);
      await record(1);
      const ids = (await dueRows(transaction, 10)).map(({ id }) => id);
      assert.deepEqual(ids, [1, 2]);
    });
  });

  it("never blocks an action on Citadel", async () => {
    await record(1);
    let release = (): void => undefined;
    const held = new Promise<IngestReport>((resolve) => {
      release = () => resolve({ accepted: 1, refused: [] });
    });
    const shipping = shipper({ citadel: { ingest: () => held } }).ship();
    await sleep(50);
    const start = performance.now();
    await record(5);
    assert.ok(performance.now() - start < 5_000);
    assert.equal((await shipper().ship()).state, "busy");
    release();
    assert.equal((await shipping).shipped, 1);
  });

  it("reports its backlog as a metric", async () => {
    const registry = new Registry();
    registerAuditMetrics(registry, test.store);
    const value = async (name: string) => {
      const metric = await registry.getSingleMetric(name)?.get();
      return metric?.values[0]?.value;
    };
    assert.equal(await value("rdev_audit_outbox_backlog"), 0);
    assert.equal(await value("rdev_audit_outbox_oldest_seconds"), 0);
    await record(3);
    await test.admin("UPDATE audit_outbox SET queued_at = now() - interval '90 s'");
    assert.equal(await value("rdev_audit_outbox_backlog"), 3);
    const age = (await value("rdev_audit_outbox_oldest_seconds")) ?? 0;
    assert.ok(age >= 90 && age < 150, String(age));
    assert.match(await registry.metrics(), /^rdev_audit_outbox_refused 0$/m);
  });
});
