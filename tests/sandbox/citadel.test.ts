import assert from "node:assert/strict";
import { request } from "undici";
import { z } from "zod";
import { startCitadel, type Citadel } from "../../sandbox/citadel/server.ts";

const tenantSchema = z.strictObject({
  id: z.uuid(),
  slug: z.string(),
  name: z.string(),
  organization: z.string(),
  created_at: z.iso.datetime(),
  metadata: z.record(z.string(), z.string()),
});
const errorSchema = z.object({ error: z.string() });
const mistakeSchema = z.strictObject({
  ...errorSchema.shape,
  ...{ position: z.number(), found: z.string(), expected: z.string() },
});
const answerSchema = z.strictObject({
  entries: z.array(
    z.strictObject({
      id: z.string(),
      timestamp: z.iso.datetime({ precision: 3 }),
      level: z.string(),
      service: z.string(),
      message: z.string(),
      trace_id: z.string().nullable(),
      metadata: z.record(z.string(), z.unknown()),
    }),
  ),
  episodes: z.array(z.unknown()),
  total: z.number(),
  duration_ms: z.number(),
});

const MINUTE_MS = 60_000;

describe("the stand-in for Citadel", () => {
  let citadel: Citadel;

  beforeEach(async () => {
    citadel = await startCitadel({ organization: "orchard9" });
  });
  afterEach(() => citadel.close());

  interface CallOptions {
    readonly key?: string | null;
    readonly headers?: Record<string, string>;
    readonly body?: unknown;
  }

  async function call(
    method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE",
    path: string,
    { key = citadel.apiKey, headers = {}, body }: CallOptions = {},
  ) {
    const answer = await request(`${citadel.url}/api/v1${path}`, {
      method,
      headers: {
        ...(key === null ? {} : { authorization: `Bearer ${key}` }),
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...headers,
      },
      body: body === undefined ? null : typeof body === "string" ? body : JSON.stringify(body),
    });
    const text = await answer.body.text();
    return {
      status: answer.statusCode,
      body: text === "" ? undefined : (JSON.parse(text) as unknown),
    };
  }

  async function createTenant(slug: string, metadata?: Record<string, string>) {
    const body = { slug, name: `The ${slug}`, organization: "orchard9", metadata };
    const created = await call("POST", "/tenants", { body });
    assert.equal(created.status, 201, JSON.stringify(created.body));
    return tenantSchema.parse(created.body);
  }

  const ingest = (tenant: string, events: unknown, options: CallOptions = {}) =>
    call("POST", "/ingest", { body: events, headers: { "x-tenant-id": tenant }, ...options });

  async function query(q: string, more: Record<string, string> = {}, headers = {}) {
    const path = `/query?${new URLSearchParams({ q, ...more }).toString()}`;
    const found = await call("GET", path, { headers });
    assert.equal(found.status, 200, JSON.stringify(found.body));
    return answerSchema.parse(found.body);
  }

  const messages = async (...args: Parameters<typeof query>) =>
    (await query(...args)).entries.map(({ message }) => message);

  function event(message: string, more: Record<string, unknown> = {}) {
    return {
      message,
      level: "info",
      timestamp: new Date().toISOString(),
      service: "my-app",
      environment: "staging",
      target: "http",
      ...more,
    };
  }

  describe("keys", () => {
    it("refuses a call without a key, and one with an unknown key", async () => {
      for (const key of [null, "ck_live_unknown"]) {
        const answer = await call("GET", "/tenants", { key });
        assert.equal(answer.status, 401);
        const { error } = errorSchema.parse(answer.body);
        assert.ok(!error.includes("ck_live_unknown"), "the key is not echoed");
      }
    });

    it("lets the agent's key ingest, and nothing else", async () => {
      const { id } = await createTenant("my-app");
      const key = citadel.agentKey;
      assert.equal((await ingest(id, [event("hello")], { key })).status, 202);
      assert.equal((await call("GET", "/tenants", { key })).status, 403);
      assert.equal((await call("PUT", "/tenant-groups/projects", { key })).status, 403);
      assert.equal((await call("GET", "/query?q=level:info", { key })).status, 403);
    });

    it("gives each server its own keys, which begin with ck_", async () => {
      const other = await startCitadel({ organization: "orchard9" });
      try {
        const keys = [citadel.apiKey, citadel.agentKey, other.apiKey, other.agentKey];
        assert.equal(new Set(keys).size, 4);
        for (const key of keys) assert.match(key, /^ck_/);
      } finally {
        await other.close();
      }
    });
  });

  describe("tenants", () => {
    it("creates one with metadata, and finds it by id and by slug", async () => {
      const metadata = { "managed-by": "rdev-infra", project: "my-app" };
      const tenant = await createTenant("my-app", metadata);
      assert.deepEqual(tenant.metadata, metadata);
      assert.equal(tenant.organization, "orchard9");
      assert.deepEqual((await call("GET", `/tenants/${tenant.id}`)).body, tenant);
      assert.deepEqual((await call("GET", "/tenants?slug=my-app")).body, { tenants: [tenant] });
      assert.deepEqual((await call("GET", "/tenants?slug=other")).body, { tenants: [] });
    });

    it("answers 409 with the existing id when the slug is taken", async () => {
      const { id } = await createTenant("my-app");
      const body = { slug: "my-app", name: "Another", organization: "orchard9" };
      const again = await call("POST", "/tenants", { body });
      assert.equal(again.status, 409);
      assert.equal(z.object({ error: z.string(), id: z.string() }).parse(again.body).id, id);
    });

    it("answers 422 to a bad slug, a wrong organization, no name and too much metadata", async () => {
      const good = { slug: "my-app", name: "My app", organization: "orchard9" };
      const crowd = Object.fromEntries(Array.from({ length: 17 }, (_, n) => [`key-${n}`, "x"]));
      const bad: [string, Record<string, unknown>][] = [
        ["slug", { ...good, slug: "My_App" }],
        ["slug", { ...good, slug: "my-app-" }],
        ["organization", { ...good, organization: "somebody" }],
        ["name", { ...good, name: undefined }],
        ["metadata", { ...good, metadata: crowd }],
      ];
      for (const [field, body] of bad) {
        const answer = await call("POST", "/tenants", { body });
        assert.equal(answer.status, 422, JSON.stringify(body));
        assert.match(errorSchema.parse(answer.body).error, new RegExp(`^${field}: `));
      }
      assert.deepEqual((await call("GET", "/tenants")).body, { tenants: [] });
    });

    it("changes name and metadata separately", async () => {
      const tenant = await createTenant("my-app", { project: "my-app" });
      const path = `/tenants/${tenant.id}`;
      const renamed = await call("PATCH", path, { body: { name: "New" } });
      assert.deepEqual(renamed.body, { ...tenant, name: "New" });
      await call("PATCH", path, { body: { metadata: { project: "b" } } });
      assert.deepEqual((await call("GET", path)).body, {
        ...tenant,
        name: "New",
        metadata: { project: "b" },
      });
      assert.equal((await call("PATCH", path, { body: { slug: "other" } })).status, 422);
    });

    it("deletes a tenant with its logs and memberships", async () => {
      const { id } = await createTenant("my-app");
      await call("PUT", "/tenant-groups/projects");
      await call("PUT", `/tenant-groups/projects/tenants/${id}`);
      await ingest(id, [event("hello")]);
      assert.equal((await query("level:info")).total, 1);

      assert.equal((await call("DELETE", `/tenants/${id}`)).status, 204);
      assert.equal((await call("DELETE", `/tenants/${id}`)).status, 404);
      assert.equal((await call("GET", `/tenants/${id}`)).status, 404);
      assert.equal((await query("level:info")).total, 0);
      const group = await call("GET", "/tenant-groups/projects");
      assert.deepEqual(group.body, { name: "projects", tenants: [] });
    });
  });

  describe("tenant groups", () => {
    it("are created once, however often they are put", async () => {
      assert.equal((await call("GET", "/tenant-groups/projects")).status, 404);
      assert.equal((await call("PUT", "/tenant-groups/projects")).status, 201);
      const again = await call("PUT", "/tenant-groups/projects");
      assert.deepEqual(again, { status: 200, body: { name: "projects", tenants: [] } });
      assert.equal((await call("PUT", "/tenant-groups/Not_OK")).status, 422);
    });

    it("add and remove members idempotently", async () => {
      const { id } = await createTenant("my-app");
      await call("PUT", "/tenant-groups/projects");
      const member = `/tenant-groups/projects/tenants/${id}`;
      const group = async () => (await call("GET", "/tenant-groups/projects")).body;
      for (const _ of [1, 2]) assert.equal((await call("PUT", member)).status, 204);
      assert.deepEqual(await group(), { name: "projects", tenants: [id] });
      for (const _ of [1, 2]) assert.equal((await call("DELETE", member)).status, 204);
      assert.deepEqual(await group(), { name: "projects", tenants: [] });
    });

    it("refuse an unknown group and an unknown tenant", async () => {
      const { id } = await createTenant("my-app");
      assert.equal((await call("PUT", `/tenant-groups/none/tenants/${id}`)).status, 404);
      await call("PUT", "/tenant-groups/projects");
      const stranger = "00000000-0000-4000-8000-000000000000";
      assert.equal((await call("PUT", `/tenant-groups/projects/tenants/${stranger}`)).status, 404);
    });
  });

  describe("ingest", () => {
    it("accepts a batch, and a single event in the other form", async () => {
      const { id } = await createTenant("my-app");
      const batch = await ingest(id, [event("first"), event("second")]);
      assert.deepEqual(batch, { status: 202, body: { accepted: 2 } });
      const attributes = { service: "worker", action: "project.create" };
      const single = await call("POST", "/ingest/event", {
        headers: { "x-tenant-id": id },
        body: { message: "third", level: "warn", attributes },
      });
      assert.equal(single.status, 202);
      assert.deepEqual((await messages("service:my-app")).sort(), ["first", "second"]);
      assert.deepEqual(await messages("service:worker action:project.create"), ["third"]);
    });

    it("refuses an unknown, missing or malformed tenant", async () => {
      const stranger = "00000000-0000-4000-8000-000000000000";
      assert.equal((await ingest(stranger, [event("x")])).status, 404);
      assert.equal((await call("POST", "/ingest", { body: [event("x")] })).status, 400);
      assert.equal((await ingest("my-app", [event("x")])).status, 400);
    });

    it("accepts 4 MiB, and refuses one byte more", async () => {
      const { id } = await createTenant("my-app");
      const sized = (bytes: number) => {
        const empty = JSON.stringify([event("")]).length;
        return JSON.stringify([event("x".repeat(bytes - empty))]);
      };
      const limit = 4 * 1024 * 1024;
      assert.equal((await ingest(id, sized(limit))).status, 202);
      const tooLarge = await ingest(id, sized(limit + 1));
      assert.equal(tooLarge.status, 413);
      errorSchema.parse(tooLarge.body);
    });

    it("names what is wrong with a batch, and stores none of it", async () => {
      const { id } = await createTenant("my-app");
      const wrong: [RegExp, unknown][] = [
        [/^\[1\]\.level: /, [event("good"), event("bad", { level: "fatal" })]],
        [/^\[0\]\.timestamp: /, [event("bad", { timestamp: "2026-01-01 12:00:00" })]],
        [/^\[0\]\.timestamp: /, [event("bad", { timestamp: "2026-01-01T12:00:00Z" })]],
        [/^\[0\]\.service: /, [event("bad", { service: undefined })]],
        [/^body: .*array/, event("not a list")],
      ];
      for (const [pattern, body] of wrong) {
        const answer = await ingest(id, body);
        assert.equal(answer.status, 400, JSON.stringify(body));
        assert.match(errorSchema.parse(answer.body).error, pattern);
      }
      assert.equal((await ingest(id, "[{")).status, 400);
      assert.equal((await query("service:my-app")).total, 0);
    });
  });

  describe("query", () => {
    it("matches the event's own properties and its fields, and requires all terms", async () => {
      const { id } = await createTenant("my-app");
      await ingest(id, [
        event("build failed", { level: "error", fields: { component: "build", attempt: 2 } }),
        event("build done", { fields: { component: "build", "http.status": 200 } }),
        event("saga failed", { level: "error", fields: { component: "saga", dry: true } }),
      ]);
      assert.deepEqual(await messages("component:build level:error"), ["build failed"]);
      assert.deepEqual(await messages("attempt:2"), ["build failed"]);
      assert.deepEqual(await messages("dry:true"), ["saga failed"]);
      assert.deepEqual(await messages("http.status:200"), ["build done"]);
      assert.deepEqual(await messages("component:buil"), []);
      assert.equal((await query("target:http environment:staging")).total, 3);
    });

    it("returns an entry's fields as metadata, and its trace id", async () => {
      const { id } = await createTenant("my-app");
      await ingest(id, [event("hello", { fields: { trace_id: "abc", project_id: "my-app" } })]);
      const [entry] = (await query("project_id:my-app")).entries;
      assert.equal(entry?.trace_id, "abc");
      assert.equal(entry.metadata["project_id"], "my-app");
      assert.equal(entry.metadata["environment"], "staging");
    });

    it("covers a tenant, a group or, without either, the organization", async () => {
      const [one, two, three] = await Promise.all(
        ["one", "two", "three"].map((s) => createTenant(s)),
      );
      assert.ok(one && two && three);
      for (const { id, slug } of [one, two, three]) await ingest(id, [event(slug)]);
      await call("PUT", "/tenant-groups/projects");
      for (const { id } of [one, two]) await call("PUT", `/tenant-groups/projects/tenants/${id}`);

      const seen = async (headers: Record<string, string>) =>
        (await messages("level:info", {}, headers)).sort();
      assert.deepEqual(await seen({ "x-tenant-id": three.id }), ["three"]);
      assert.deepEqual(await seen({ "x-tenant-group": "projects" }), ["one", "two"]);
      assert.deepEqual(await seen({}), ["one", "three", "two"]);

      const q = "/query?q=level:info";
      const none = { "x-tenant-group": "none" };
      assert.equal((await call("GET", q, { headers: none })).status, 404);
      const both = { "x-tenant-group": "projects", "x-tenant-id": one.id };
      assert.equal((await call("GET", q, { headers: both })).status, 400);
    });

    it("applies range and limit, newest first, and counts all matches", async () => {
      const { id } = await createTenant("my-app");
      const ago = (minutes: number) => ({
        timestamp: new Date(Date.now() - minutes * MINUTE_MS).toISOString(),
      });
      await ingest(id, [event("old", ago(90)), event("new", ago(1)), event("middle", ago(45))]);
      assert.deepEqual(await messages("level:info", { range: "30m" }), ["new"]);
      assert.deepEqual(await messages("level:info", { range: "1h" }), ["new", "middle"]);
      const limited = await query("level:info", { range: "7d", limit: "2" });
      assert.deepEqual(
        limited.entries.map(({ message }) => message),
        ["new", "middle"],
      );
      assert.equal(limited.total, 3);
      await ingest(
        id,
        Array.from({ length: 101 }, (_, n) => event(`many ${n}`)),
      );
      const unlimited = await query("many");
      assert.deepEqual([unlimited.entries.length, unlimited.total], [100, 101]);
    });

    it("refuses a malformed range, limit or query", async () => {
      const wrong = ["q=level:info&range=1y", "q=level:info&limit=0", "q=level:info&limit=501"];
      for (const search of [...wrong, "range=1h", "q=", "q=level:"]) {
        const answer = await call("GET", `/query?${search}`);
        assert.equal(answer.status, 400, search);
        errorSchema.parse(answer.body);
      }
    });

    it("names the column of a syntax error", async () => {
      const mistakes: [string, number, RegExp][] = [
        ["level:error (build", 18, /expected a "\)" .* found the end of the query/],
        ["duration_ms:>slow", 13, /expected a number after .* found `slow`/],
        ["level:error AND", 15, /expected a word/],
        ["(".repeat(5000), 4096, /at most 4096 characters/],
      ];
      for (const [q, position, pattern] of mistakes) {
        const answer = await call("GET", `/query?${new URLSearchParams({ q }).toString()}`);
        assert.equal(answer.status, 400, q);
        const body = mistakeSchema.parse(answer.body);
        assert.equal(body.position, position);
        assert.match(body.error, pattern);
      }
    });
  });
});
