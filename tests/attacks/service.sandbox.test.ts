import assert from "node:assert/strict";
import type { FastifyInstance } from "fastify";
import { pino } from "pino";
import { Registry } from "prom-client";
import { request } from "undici";
import { auditLog } from "../../automation/audit/log.ts";
import { auditPage } from "../../automation/audit/queries.ts";
import { statistics } from "../../automation/statistics.ts";
import type { Role } from "../../core/identity.ts";
import { Authenticator } from "../../automation/identity/authenticator.ts";
import { Keys } from "../../automation/keys/keys.ts";
import { DriftRecords } from "../../automation/drift/table.ts";
import { Deliveries } from "../../automation/notifications/deliveries.ts";
import { Operations } from "../../automation/operations/operations.ts";
import type { Problem } from "../../automation/service/schemas/problem.ts";
import { createService } from "../../automation/service/service.ts";
import { MergedRequests } from "../../automation/rollouts/merged-requests.ts";
import { Rollouts } from "../../automation/rollouts/rollouts.ts";
import { ProjectRecords } from "../../automation/store/project-records.ts";
import { TemplateUpdates } from "../../automation/templates/updates.ts";
import { createTestStore, type TestStore } from "../support/test-store.ts";
import { DEFAULT_SIZES } from "../../core/sizes.ts";

describe("an attack on the service over HTTP", function () {
  this.timeout(400_000);
  let test: TestStore;
  let keys: Keys;
  let operations: Operations;
  let app: FastifyInstance;
  let url: string;

  beforeEach(async () => {
    test = await createTestStore();
    const { store } = test;
    keys = new Keys(store);
    operations = new Operations(store);
    app = await createService({
      platform: "staging",
      operations,
      rollouts: new Rollouts(store, {
        platform: "staging",
        version: "0.1.0+test",
        audit: auditLog(store),
      }),
      rolloutRequests: new MergedRequests(store, { audit: auditLog(store) }),
      programVersion: "0.1.0+test",
      authenticator: new Authenticator({ keys }),
      metrics: new Registry(),
      projects: new ProjectRecords(store),
      templates: new TemplateUpdates(store),
      sizes: async () => ({ sizes: DEFAULT_SIZES, maxSizes: {} }),
      drift: new DriftRecords(store),
      lookAtAll: () => Promise.reject(new Error("not in this test")),
      audit: auditLog(store),
      auditPage: (query) => auditPage(store, query),
      deliveries: new Deliveries(store, { audit: auditLog(store) }),
      statistics: (query) => statistics(store, query),
      checkReady: () => store.run(async (db) => void (await db.selectFrom("projects").execute())),
      logger: pino({ enabled: false }),
      trustedProxies: "127.0.0.1",
    });
    url = await app.listen({ host: "127.0.0.1", port: 0 });
  });
  afterEach(async () => {
    await app.close();
    await operations.close();
    await test.drop();
  });

  const keyOf = async (role: Role) => (await keys.create({ name: `a-${role}`, role }, "test")).text;

  async function call(
    path: string,
    { key, method = "GET", body, from = "192.0.2.1" }: Partial<Record<string, string>>,
  ): Promise<{ status: number; problem: Problem }> {
    const answer = await request(url + path, {
      method: method as "GET",
      headers: {
        "x-forwarded-for": from,
        ...(key !== undefined && { authorization: `Bearer ${key}` }),
        ...(body !== undefined && { "content-type": "application/json" }),
      },
      body: body ?? null,
    });
    return { status: answer.statusCode, problem: (await answer.body.json()) as Problem };
  }

  const refusals = () =>
    test.admin("SELECT actor, details FROM audit_log WHERE action = 'api.refuse' ORDER BY id");

  it("cannot flood the audit log: a viewer's 2,000 refused requests are a few events", async () => {
    const key = await keyOf("viewer");
    for (let n = 0; n < 2_000; n += 1) {
      const { status, problem } = await call("/v1/audit", { key });
      assert.deepEqual([status, problem.code], [403, "RDEV_ROLE"]);
    }
    await app.close();
    const counts = (await refusals()).map(({ details }) => (details as { more?: number }).more);
    assert.equal(
      counts.reduce<number>((sum, more) => sum + (more ?? 1), 0),
      2_000,
    );
    // Each minute of the test has events of its own.
    assert.ok(counts.length <= 6, `${counts.length} events`);
  });

  it("is rate limited per IPv6 network, not per address", async () => {
    const statuses = new Set<number>();
    for (let n = 0; n < 70; n += 1) {
      statuses.add((await call("/v1/projects", { from: `2001:db8:1:2::${n}` })).status);
    }
    assert.deepEqual([...statuses], [401, 429]);
    const { status, problem } = await call("/v1/projects", { from: "2001:db8:1:2:ffff::1" });
    assert.deepEqual([status, problem.code], [429, "RDEV_RATE_LIMITED"]);
    assert.equal((await call("/v1/projects", { from: "2001:db8:1:3::1" })).status, 401);
    assert.equal((await refusals()).length, 2);
  });

  it("with text that PostgreSQL refuses gets 400, and nothing is queued", async () => {
    const key = await keyOf("admin");
    for (const body of ['{"name":"a\\u0000b"}', '{"name":"\\ud83d"}']) {
      const { status, problem } = await call("/v1/projects/shop", { key, method: "PUT", body });
      assert.deepEqual([status, problem.code], [400, "RDEV_REQUEST"]);
      assert.equal(problem.errors?.[0]?.pointer, "#/name");
    }
    for (const path of ["/v1/audit?project=%00", "/v1/projects?search=%00"]) {
      assert.equal((await call(path, { key })).status, 400, path);
    }
    assert.deepEqual(await operations.list({ limit: 10 }), []);
  });

  it("cannot queue more than 20 operations of a project, and other projects still can", async () => {
    const key = await keyOf("operator");
    const put = (slug: string) => call(`/v1/projects/${slug}`, { key, method: "PUT", body: "{}" });
    for (let n = 0; n < 20; n += 1) assert.equal((await put("shop")).status, 202);
    const { status, problem } = await put("shop");
    assert.deepEqual([status, problem.code], [409, "RDEV_BUSY"]);
    assert.match(problem.detail, /^20 operations of "shop" run or wait already/);
    assert.equal((await put("other")).status, 202);
  });
});
