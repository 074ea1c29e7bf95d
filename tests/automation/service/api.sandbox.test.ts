import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import type { FastifyInstance } from "fastify";
import { pino } from "pino";
import { Registry } from "prom-client";
import { request } from "undici";
import { MultiWriter } from "../../../automation/audit/log.ts";
import { auditPage } from "../../../automation/audit/queries.ts";
import { statistics } from "../../../automation/statistics.ts";
import { Authenticator } from "../../../automation/identity/authenticator.ts";
import { Keys } from "../../../automation/keys/keys.ts";
import type { Operation } from "../../../core/operation.ts";
import { DriftRecords } from "../../../automation/drift/table.ts";
import { Deliveries } from "../../../automation/notifications/deliveries.ts";
import { Operations } from "../../../automation/operations/operations.ts";
import { addEvents, addStateEvent } from "../../../automation/operations/tables.ts";
import { registerOperationMetrics } from "../../../automation/service/metrics.ts";
import type { ServiceLimits } from "../../../automation/service/options.ts";
import type { OperationView } from "../../../automation/service/schemas/operation.ts";
import type { Problem } from "../../../automation/service/schemas/problem.ts";
import { createService } from "../../../automation/service/service.ts";
import { MergedRequests } from "../../../automation/rollouts/merged-requests.ts";
import { Rollouts } from "../../../automation/rollouts/rollouts.ts";
import { ProjectRecords } from "../../../automation/store/project-records.ts";
import { Store } from "../../../automation/store/store.ts";
import { TemplateUpdates } from "../../../automation/templates/updates.ts";
import { type ServerSentEvent, serverSentEvents } from "../../../providers/sse.ts";
import { createTestStore, type TestStore } from "../../support/test-store.ts";
import { DEFAULT_SIZES } from "../../../core/sizes.ts";

interface Answer<T> {
  readonly status: number;
  readonly headers: Record<string, string | string[] | undefined>;
  readonly body: T;
}

/** The API with a real database and without a runner. */
describe("the API with its database", function () {
  this.timeout(400_000);
  let test: TestStore;
  let keys: Keys;
  let operations: Operations;
  let app: FastifyInstance;
  let url: string;
  let admin: string;

  async function open(store: Store, limits: Partial<ServiceLimits> = {}): Promise<void> {
    keys = new Keys(store);
    operations = new Operations(store, { maxOpen: 1_000 });
    const metrics = new Registry();
    registerOperationMetrics(metrics, store);
    app = await createService({
      platform: "staging",
      operations,
      rollouts: new Rollouts(store, {
        platform: "staging",
        version: "0.1.0+test",
        audit: new MultiWriter(store),
      }),
      rolloutRequests: new MergedRequests(store, { audit: new MultiWriter(store) }),
      programVersion: "0.1.0+test",
      authenticator: new Authenticator({ keys }),
      metrics,
      projects: new ProjectRecords(store),
      templates: new TemplateUpdates(store),
      sizes: async () => ({ sizes: DEFAULT_SIZES, maxSizes: {} }),
      drift: new DriftRecords(store),
      lookAtAll: () => Promise.reject(new Error("not in this test")),
      audit: new MultiWriter(store),
      auditPage: (query) => auditPage(store, query),
      deliveries: new Deliveries(store, { audit: new MultiWriter(store) }),
      statistics: (query) => statistics(store, query),
      checkReady: () =>
        store.run(async (db) => void (await db.selectFrom("api_keys").selectAll().execute())),
      logger: pino({ enabled: false }),
      limits: { requestsPerMinute: 1_000_000, ...limits },
    });
    url = await app.listen({ host: "127.0.0.1", port: 0 });
    admin = (await keys.create({ name: "rdev", role: "admin" }, "test")).text;
  }

  beforeEach(async () => {
    test = await createTestStore();
    await open(test.store);
  });
  afterEach(async () => {
    await app.close();
    await operations.close();
    await test.drop();
  });

  async function call<T = OperationView>(
    method: "GET" | "PUT" | "POST" | "DELETE",
    path: string,
    {
      body,
      key = admin,
      headers,
    }: { body?: object; key?: string; headers?: Record<string, string> } = {},
  ): Promise<Answer<T>> {
    const answer = await request(url + path, {
      method,
      headers: {
        authorization: `Bearer ${key}`,
        ...(body && { "content-type": "application/json" }),
        ...headers,
      },
      body: body ? JSON.stringify(body) : null,
    });
    const text = await answer.body.text();
    return { status: answer.statusCode, headers: answer.headers, body: JSON.parse(text) as T };
  }

  const put = async (slug = "my-app") =>
    (await call("PUT", `/v1/projects/${slug}`, { body: {} })).body;

  /** Ends an operation like a runner. */
  async function end({ id }: Pick<Operation, "id">, state: "succeeded" | "failed"): Promise<void> {
    await test.store.transaction(async (transaction) => {
      const row = await transaction
        .updateTable("operations")
        .set({ state, started_at: new Date(), ended_at: new Date() })
        .where("id", "=", id)
        .returningAll()
        .executeTakeFirstOrThrow();
      await addStateEvent(transaction, row);
    });
  }

  async function* stream(id: string, after = 0): AsyncGenerator<ServerSentEvent> {
    const answer = await request(`${url}/v1/operations/${id}/events`, {
      headers: {
        authorization: `Bearer ${admin}`,
        accept: "text/event-stream",
        "last-event-id": String(after),
      },
    });
    assert.equal(answer.headers["content-type"], "text/event-stream");
    yield* serverSentEvents(answer.body);
  }

  it("queues an operation, and returns it and its project", async () => {
    const { status, headers, body } = await call("PUT", "/v1/projects/my-app", {
      body: { name: "My App", sizes: { replicas: 2 } },
    });
    assert.deepEqual([status, headers["location"]], [202, `/v1/operations/${body.id}`]);
    assert.deepEqual([body.state, body.actor, body.slug], ["queued", "rdev", "my-app"]);
    const project = await call<Record<string, unknown>>("GET", "/v1/projects/my-app");
    const { status: standing, settings, lastOperation } = project.body;
    assert.equal(standing, "changing");
    assert.deepEqual(settings, { name: "My App", sizes: { replicas: 2 } });
    assert.deepEqual((lastOperation as OperationView).id, body.id);
    await end(body, "failed");
    const failed = await call<{ status: string }>("GET", "/v1/projects/my-app");
    assert.equal(failed.body.status, "incomplete");
    const audit = await call<{ items: { action: string; actor: string; project?: string }[] }>(
      "GET",
      "/v1/audit?project=my-app",
    );
    assert.deepEqual(
      audit.body.items.map(({ action, actor, project: slug }) => [action, actor, slug]),
      [["operation.submit", "rdev", "my-app"]],
    );
  });

  it("answers the same Idempotency-Key with the same operation, and refuses another request", async () => {
    const headers = { "idempotency-key": "one" };
    const first = await call("PUT", "/v1/projects/my-app", { body: { name: "A" }, headers });
    const again = await call("PUT", "/v1/projects/my-app", { body: { name: "A" }, headers });
    assert.deepEqual([again.status, again.body.id], [202, first.body.id]);
    assert.equal(again.headers["idempotency-replayed"], "true");
    const other = await call<Problem>("PUT", "/v1/projects/my-app", {
      body: { name: "B" },
      headers,
    });
    assert.deepEqual([other.status, other.body.code], [422, "RDEV_IDEMPOTENCY"]);
    const elsewhere = await call<Problem>("PUT", "/v1/projects/other", {
      body: { name: "A" },
      headers,
    });
    assert.equal(elsewhere.status, 422);
    const { text: key } = await keys.create({ name: "second", role: "admin" }, "test");
    const others = await call("PUT", "/v1/projects/other", { body: {}, headers, key });
    assert.equal(others.status, 202, "keys of callers do not collide");
  });

  it("creates a project from a name once, and answers a repeated request with the same operation", async () => {
    const body = { name: "My First Project!" };
    const headers = { "idempotency-key": "one" };
    const first = await call("POST", "/v1/projects", { body, headers });
    assert.deepEqual([first.status, first.body.slug], [202, "my-first-project"]);
    assert.equal((await call("POST", "/v1/projects", { body, headers })).body.id, first.body.id);
    const twice = await call<Problem>("POST", "/v1/projects", { body });
    assert.deepEqual([twice.status, twice.body.code], [409, "RDEV_CONFLICT"]);
    const other = { body, headers: { "idempotency-key": "two" } };
    assert.equal((await call("POST", "/v1/projects", other)).status, 409);
  });

  it("refuses expired and revoked keys", async () => {
    const { text: expired } = await keys.create({ name: "a", role: "viewer", lifetime: 1 }, "test");
    const { key, text: revoked } = await keys.create({ name: "b", role: "viewer" }, "test");
    await keys.revoke(key.id, "test");
    for (const text of [expired, revoked]) {
      const { status, body } = await call<Problem>("GET", "/v1/projects", { key: text });
      assert.deepEqual([status, body.code], [401, "RDEV_KEY"]);
    }
  });

  it("accepts one of 1,000 concurrent requests for a project with ifBusy=refuse", async () => {
    const all = await Promise.all(
      Array.from({ length: 1_000 }, () =>
        call<OperationView & Problem>("PUT", "/v1/projects/my-app?ifBusy=refuse", { body: {} }),
      ),
    );
    const accepted = all.filter(({ status }) => status === 202);
    assert.equal(accepted.length, 1);
    const { id } = accepted[0]!.body;
    for (const { status, body } of all) {
      if (status === 202) continue;
      assert.deepEqual([status, body.code], [409, "RDEV_BUSY"]);
      assert.ok(body.detail.includes(id), body.detail);
    }
    assert.equal((await operations.list({ limit: 1000 })).length, 1);
  });

  it("queues 1,000 concurrent requests for a project in order", async () => {
    const all = await Promise.all(
      Array.from({ length: 1_000 }, () => call("PUT", "/v1/projects/my-app", { body: {} })),
    );
    assert.ok(all.every(({ status }) => status === 202));
    assert.equal(new Set(all.map(({ body }) => body.id)).size, 1_000);
    const { body } = await call<{ items: unknown[] }>(
      "GET",
      "/v1/operations?state=queued&limit=200",
    );
    assert.equal(body.items.length, 200);
    const metrics = await request(`${url}/metrics`, {
      headers: { authorization: `Bearer ${admin}` },
    });
    assert.match(await metrics.body.text(), /rdev_operations\{kind="up",state="queued"\} 1000\n/);
  });

  it("returns every item of a list once, in pages", async () => {
    for (let i = 0; i < 7; i += 1) await put(`app-${i}`);
    for (const [path, of] of [
      ["/v1/projects", "slug"],
      ["/v1/operations", "id"],
      ["/v1/audit", "id"],
    ] as const) {
      const seen: unknown[] = [];
      let next: string | undefined;
      do {
        const cursor: string = next === undefined ? "" : `&cursor=${next}`;
        const { body } = await call<{ items: Record<string, unknown>[]; next?: string }>(
          "GET",
          `${path}?limit=3${cursor}`,
        );
        seen.push(...body.items.map((item) => item[of]));
        next = body.next;
      } while (next !== undefined);
      assert.equal(seen.length, path === "/v1/audit" ? 8 : 7, path); // one more: the creation of the key
      assert.equal(new Set(seen).size, seen.length, path);
    }
    const found = await call<{ items: { slug: string }[] }>("GET", "/v1/projects?search=APP-3");
    assert.deepEqual(
      found.body.items.map(({ slug }) => slug),
      ["app-3"],
    );
    const ready = await call<{ items: unknown[] }>("GET", "/v1/projects?status=ready");
    assert.deepEqual(ready.body.items, []);
  });

  it("streams events, continues after Last-Event-ID, and ends with the operation", async () => {
    const operation = await put();
    const seen: ServerSentEvent[] = [];
    for await (const event of stream(operation.id)) {
      seen.push(event);
      if (event.type === "state" && seen.length === 1) {
        await test.store.transaction((transaction) =>
          addEvents(transaction, operation.id, [
            { at: new Date(), event: { event: "diagnostic", severity: "info", message: "a\nb" } },
          ]),
        );
        await end(operation, "succeeded");
      }
    }
    assert.deepEqual(
      seen.map(({ type, id }) => [type, id]),
      [
        ["state", "1"],
        ["diagnostic", "2"],
        ["state", "3"],
        ["end", "3"],
      ],
    );
    assert.equal((JSON.parse(seen[3]!.data) as OperationView).state, "succeeded");
    const rest: string[] = [];
    for await (const { type, id } of stream(operation.id, 2)) rest.push(`${type} ${id}`);
    assert.deepEqual(rest, ["state 3", "end 3"]);
    const { body } = await call<{ items: { number: number }[] }>(
      "GET",
      `/v1/operations/${operation.id}/events?after=1&limit=1`,
    );
    assert.deepEqual(
      body.items.map(({ number }) => number),
      [2],
    );
  });

  it("sends heartbeats on a stream, and ends it on shutdown", async () => {
    await app.close();
    await operations.close();
    await test.admin("DELETE FROM api_keys");
    await open(test.store, { heartbeatMs: 50 });
    const { id } = await put();
    const answer = await request(`${url}/v1/operations/${id}/events`, {
      headers: { authorization: `Bearer ${admin}`, accept: "text/event-stream" },
    });
    let text = "";
    for await (const chunk of answer.body) {
      text += String(chunk);
      if (text.split("\n:\n").length > 3) void app.close();
    }
    assert.match(text, /^retry: 1000\n\n/);
    assert.match(text, /\n: the service restarts; connect again\n\n$/);
  });

  it("limits the streams per key", async () => {
    await app.close();
    await operations.close();
    await test.admin("DELETE FROM api_keys");
    await open(test.store, { streamsPerKey: 2 });
    const { id } = await put();
    const follow = (key = admin) =>
      request(`${url}/v1/operations/${id}/events`, {
        headers: { authorization: `Bearer ${key}`, accept: "text/event-stream" },
      });
    const [one, two] = [await follow(), await follow()];
    const refused = await follow();
    const problem = (await refused.body.json()) as Problem;
    assert.deepEqual([refused.statusCode, problem.code], [429, "RDEV_RATE_LIMITED"]);
    assert.match(problem.detail, /has 2 streams open/);
    assert.equal((await call("GET", `/v1/operations/${id}`)).status, 200);
    const { text: other } = await keys.create({ name: "other", role: "viewer" }, "test");
    const beside = await follow(other);
    assert.equal(beside.statusCode, 200);
    one.body.destroy();
    let next = await follow();
    while (next.statusCode === 429) {
      await next.body.dump();
      next = await follow();
    }
    assert.equal(next.statusCode, 200);
    for (const { body } of [two, beside, next]) body.destroy();
  });

  it("shuts down although a client is connected that sends nothing", async () => {
    await app.close();
    await operations.close();
    await test.admin("DELETE FROM api_keys");
    await open(test.store, { shutdownGraceMs: 200 });
    const { port } = new URL(url);
    const socket = connect(Number(port), "127.0.0.1");
    await once(app.server, "connection");
    await app.close();
    socket.destroy();
  });

  it("disconnects a client that never reads its stream, and buffers little for it", async () => {
    await app.close();
    await operations.close();
    await test.admin("DELETE FROM api_keys");
    await open(test.store, { idleStreamMs: 1_000, heartbeatMs: 100 });
    const { id } = await put();
    const message = "x".repeat(20_000);
    const event = {
      at: new Date(),
      event: { event: "diagnostic", severity: "info", message },
    } as const;
    for (let i = 0; i < 20; i += 1) {
      await test.store.transaction((transaction) =>
        addEvents(
          transaction,
          id,
          Array.from({ length: 100 }, () => event),
        ),
      );
    }
    const ends: Socket[] = [];
    app.server.on("connection", (socket: Socket) => ends.push(socket));
    const before = process.memoryUsage().rss;
    const { port } = new URL(url);
    const sockets = await Promise.all(
      Array.from({ length: 5 }, async () => {
        const socket = connect(Number(port), "127.0.0.1");
        await once(socket, "connect");
        socket.pause();
        socket.write(
          `GET /v1/operations/${id}/events HTTP/1.1\r\nhost: a\r\nauthorization: Bearer ${admin}\r\n` +
            "accept: text/event-stream\r\n\r\n",
        );
        return socket;
      }),
    );
    const isTheirs = ({ remotePort }: Socket) =>
      sockets.some(({ localPort }) => localPort === remotePort);
    let most = 0;
    const begin = performance.now();
    while (ends.some((socket) => isTheirs(socket) && !socket.destroyed)) {
      most = Math.max(most, process.memoryUsage().rss - before);
      assert.ok(performance.now() - begin < 30_000, "they are still there");
      await sleep(100);
    }
    assert.ok(
      most < 150 * 2 ** 20,
      `${Math.round(most / 2 ** 20)} MiB for 5 streams of 40 MB each`,
    );
    for (const socket of sockets) socket.destroy();
  });

  it("answers 503 while the database is away, and continues when it is back", async () => {
    await app.close();
    await operations.close();
    await test.admin("DELETE FROM api_keys");
    const door = await Door.open(new URL(test.url));
    const store = new Store({ url: door.url });
    await open(store);
    await put();
    const statusOf = async (path: string) => {
      const answer = await request(url + path, { headers: { authorization: `Bearer ${admin}` } });
      return [
        answer.statusCode,
        String(answer.headers["content-type"]).split(";")[0],
        await answer.body.text(),
      ];
    };
    await door.close();
    await sleep(1_100); // longer than keys are cached
    for (const path of ["/v1/projects", "/readyz"]) {
      const [status, type, text] = await statusOf(path);
      assert.deepEqual([status, type], [503, "application/problem+json"], String(text));
      assert.doesNotMatch(String(text), /127\.0\.0\.1|ECONN|postgres/i);
    }
    assert.equal((await statusOf("/healthz"))[0], 200);
    await door.reopen();
    assert.equal((await statusOf("/readyz"))[0], 200);
    assert.equal((await statusOf("/v1/projects"))[0], 200);
    await app.close();
    await operations.close();
    await store.close();
    await door.close();
  });
});

/** A proxy between the service and its database that can be closed. */
class Door {
  readonly url: string;
  readonly #target: URL;
  readonly #port: number;
  #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(target: URL, server: Server) {
    this.#target = target;
    this.#server = server;
    this.#port = (server.address() as AddressInfo).port;
    this.url = Object.assign(new URL(target), { host: `127.0.0.1:${this.#port}` }).href;
    this.#serve();
  }

  static async open(target: URL): Promise<Door> {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    return new Door(target, server);
  }

  async reopen(): Promise<void> {
    this.#server = createServer().listen(this.#port, "127.0.0.1");
    this.#serve();
    await once(this.#server, "listening");
  }

  async close(): Promise<void> {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    this.#sockets.clear();
    await once(this.#server, "close");
  }

  #serve(): void {
    this.#server.on("connection", (near) => {
      const far = connect(Number(this.#target.port), this.#target.hostname);
      for (const socket of [near, far]) {
        this.#sockets.add(socket);
        socket.on("error", () => undefined).on("close", () => this.#sockets.delete(socket));
      }
      near.pipe(far).pipe(near);
    });
  }
}
