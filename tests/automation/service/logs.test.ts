import assert from "node:assert/strict";
import { once } from "node:events";
import type { ServerResponse } from "node:http";
import type { FastifyInstance } from "fastify";
import { ProjectLogs } from "../../../automation/logs/project-logs.ts";
import type { Problem } from "../../../automation/service/schemas/problem.ts";
import { Citadel } from "../../../providers/citadel/client.ts";
import { type CitadelEvent, type Level, LEVELS } from "../../../providers/citadel/port.ts";
import { serverSentEvents } from "../../../providers/sse.ts";
import { type Citadel as Server, startCitadel } from "../../../sandbox/citadel/server.ts";
import { until } from "../../../sandbox/process.ts";
import {
  bearer,
  type FakeService,
  fakeService,
  PROJECT,
  PROJECTS,
} from "../../support/fake-service.ts";

interface Line {
  readonly id: string;
  readonly timestamp: string;
  readonly level: string;
  readonly message: string;
  readonly fields: Record<string, unknown>;
}

interface Page {
  readonly items: Line[];
  readonly next?: string;
  readonly total: number;
}

interface Histogram {
  readonly from: string;
  readonly bucketMs: number;
  readonly buckets: ({ readonly at: string } & Readonly<Record<Level, number>>)[];
}

const MINUTE = 60_000;
const url = (more = "", query: Record<string, string> = {}) =>
  `/v1/projects/my-app/logs${more}?${new URLSearchParams(query).toString()}`;

describe("the routes for logs", () => {
  const organization = "orchard9";
  const now = Date.now();
  let server: Server;
  let citadel: Citadel;
  let service: FakeService;
  let app: FastifyInstance;
  let headers: Record<string, string>;
  let tenant: string;

  const line = (message: string, ago: number, more: Partial<CitadelEvent> = {}): CitadelEvent => ({
    message,
    level: "info",
    timestamp: new Date(now - ago).toISOString(),
    service: "my-app",
    environment: "staging",
    target: "web",
    ...more,
  });
  const environment = async (slug: string) =>
    (await citadel.environments.create({ slug, name: slug, organization, metadata: {} })).id;
  const get = async <T>(path: string): Promise<T> => {
    const answer = await app.inject({ url: path, headers });
    assert.equal(answer.statusCode, 200, answer.body);
    return answer.json<T>();
  };
  const refused = async (path: string, more: Record<string, string> = headers) => {
    const answer = await app.inject({ url: path, headers: more });
    return answer.json<Problem>();
  };

  before(async () => {
    server = await startCitadel({ organization });
    citadel = new Citadel(server);
    const other = await environment("other");
    await citadel.ingest(other, [line("of another project", MINUTE)]);
  });
  after(() => server.close());

  let count = 0;
  beforeEach(async () => {
    count += 1;
    tenant = await environment(`my-app-${count}`);
    const project = { ...PROJECT, citadelTenantId: tenant };
    service = await fakeService({
      logs: new ProjectLogs(citadel),
      projects: {
        find: async (slug: string) => (slug === "my-app" ? project : undefined),
      } as never,
    });
    app = service.app;
    headers = bearer(service.key("viewer", { project: "my-app" }));
  });
  afterEach(() => app.close());

  /** 900 lines within an hour; 60 at a time have the same millisecond. */
  async function manyLines(): Promise<string[]> {
    const events = Array.from({ length: 900 }, (_, at) =>
      line(`line ${at}`, 50 * MINUTE - Math.floor(at / 60) * MINUTE, {
        level: LEVELS[at % 5] ?? "info",
      }),
    );
    await citadel.ingest(tenant, events);
    return events.map(({ message }) => message);
  }

  it("page through all lines, newest first, each once", async () => {
    const messages = await manyLines();
    const found: string[] = [];
    let cursor: string | undefined;
    do {
      const page: Page = await get(url("", { limit: "70", ...(cursor && { cursor }) }));
      assert.equal(page.total, 900 - found.length);
      found.push(...page.items.map(({ message }) => message));
      cursor = page.next;
    } while (cursor !== undefined);
    assert.deepEqual(found, messages.toReversed());
  });

  it("find the lines of a query within a time", async () => {
    await citadel.ingest(tenant, [
      line("too old", 30 * MINUTE, { level: "error" }),
      line("broke", 20 * MINUTE, { level: "error", fields: { path: "/<b>" } }),
      line("went well", 20 * MINUTE),
      line("too new", 10 * MINUTE, { level: "error" }),
    ]);
    const at = (ago: number) => new Date(now - ago).toISOString();
    const time = { from: at(25 * MINUTE), before: at(10 * MINUTE) };
    const { items } = await get<Page>(url("", { q: "level:error OR level:fatal", ...time }));
    assert.deepEqual(
      items.map(({ message, fields }) => [message, fields["path"]]),
      [["broke", "/<b>"]],
    );
  });

  it("name the place of a mistake in the query", async () => {
    for (const [q, position] of [
      ["level:error AND (", 17],
      ["a) OR (b", 1],
      ['say "hello', 4],
    ] as const) {
      for (const route of ["", "/tail", "/download", "/histogram"]) {
        const problem = await refused(url(route, { q }));
        assert.deepEqual([problem.status, problem.code], [400, "RDEV_QUERY"], `${route} ${q}`);
        const [item] = problem.errors ?? [];
        assert.deepEqual([item?.pointer, item?.position], ["#/q", position], `${route} ${q}`);
      }
    }
  });

  it("name everything that is wrong with the other parameters", async () => {
    const time = { from: "2026-01-02T00:00:00Z", before: "2026-01-01T00:00:00Z" };
    const order = await refused(url("/histogram", time));
    assert.deepEqual(
      order.errors?.map(({ pointer }) => pointer),
      ["#/before"],
    );
    for (const route of ["", "/tail", "/download", "/histogram"]) {
      const tooLong = await refused(url(route, { range: "999999d" }));
      const [error] = tooLong.errors ?? [];
      assert.deepEqual([tooLong.status, error?.pointer], [400, "#/range"], route);
      assert.match(error?.detail ?? "", /at most 3650d/);
    }
    const early = await refused(url("", { from: "0001-01-01T00:00:00Z" }));
    assert.deepEqual(
      early.errors?.map(({ pointer }) => pointer),
      ["#/from"],
    );
    const all = await refused(url("", { range: "soon", limit: "0", cursor: "x", tenant }));
    assert.deepEqual(all.errors?.map(({ pointer }) => pointer).sort(), [
      "#/cursor",
      "#/limit",
      "#/range",
      "#/tenant",
    ]);
  });

  it("show a caller only the lines of its project", async () => {
    await citadel.ingest(tenant, [line("mine", MINUTE)]);
    const { items } = await get<Page>(url("", { q: '"project" OR mine OR level:info' }));
    assert.deepEqual(
      items.map(({ message }) => message),
      ["mine"],
    );
    const stranger = bearer(service.key("admin", { project: "other" }));
    for (const route of ["", "/tail", "/download", "/histogram"]) {
      const { status, code } = await refused(url(route), stranger);
      assert.deepEqual([status, code], [403, "RDEV_ROLE"], route);
    }
  });

  it("say that a project has no logs", async () => {
    const cases = [
      [{}, /is on a platform without Citadel/],
      [{ logs: new ProjectLogs(citadel) }, /has no environment in Citadel/],
    ] as const;
    for (const [parts, detail] of cases) {
      const none = await fakeService(parts);
      const options = { url: url(), headers: bearer(none.key("viewer")) };
      const answer = await none.app.inject(options);
      assert.equal(answer.statusCode, 404);
      assert.match(answer.json<Problem>().detail, detail);
      await none.app.close();
    }
  });

  it("download all lines, oldest first", async () => {
    const messages = await manyLines();
    const address = await app.listen({ host: "127.0.0.1", port: 0 });
    const answer = await fetch(address + url("/download"), { headers });
    assert.equal(answer.headers.get("content-type"), "application/x-ndjson");
    assert.equal(
      answer.headers.get("content-disposition"),
      'attachment; filename="my-app-logs.ndjson"',
    );
    const lines = (await answer.text()).trimEnd().split("\n");
    assert.deepEqual(
      lines.map((text) => (JSON.parse(text) as Line).message),
      messages,
    );
  });

  it("refuse a download of too many lines, and more downloads at once than a caller may have", async () => {
    const huge = { entries: [], total: 100_001, durationMs: 1 };
    const project = { ...PROJECT, citadelTenantId: tenant };
    const full = await fakeService({
      logs: new ProjectLogs({ query: async () => huge } as never),
      projects: { find: async () => project } as never,
      limits: { downloadsPerKey: 0 },
    });
    const viewer = bearer(full.key("viewer"));
    const answer = await full.app.inject({ url: url("/download"), headers: viewer });
    assert.deepEqual([answer.statusCode, answer.json<Problem>().code], [429, "RDEV_RATE_LIMITED"]);
    await full.app.close();
    const logs = new ProjectLogs({ query: async () => huge } as never);
    const span = { from: new Date(0), before: new Date() };
    await assert.rejects(logs.download(tenant, "*", span), { code: "RDEV_TOO_LARGE" });
  });

  it("free the place of a caller that went away before its lines were found", async () => {
    let arrived = Promise.withResolvers<void>();
    let found = Promise.withResolvers<void>();
    const project = { ...PROJECT, citadelTenantId: tenant };
    const slow = await fakeService({
      logs: new ProjectLogs(citadel),
      projects: {
        find: async () => {
          arrived.resolve();
          await found.promise;
          return project;
        },
      } as never,
      limits: { downloadsPerKey: 1, tailsPerKey: 1 },
    });
    const address = await slow.app.listen({ host: "127.0.0.1", port: 0 });
    const viewer = bearer(slow.key("viewer"));
    for (const route of ["/download", "/tail"]) {
      [arrived, found] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
      const stop = new AbortController();
      const options = { headers: viewer, signal: stop.signal };
      const closed = once(slow.app.server, "request").then(([, response]) =>
        once(response as ServerResponse, "close"),
      );
      const left = fetch(address + url(route), options).catch(() => undefined);
      await arrived.promise;
      stop.abort();
      await left;
      await closed;
      found.resolve();
      await until(async () => {
        const answer = await fetch(address + url(route), { headers: viewer });
        await answer.body?.cancel();
        assert.equal(answer.status, 200, route);
      });
    }
    await slow.app.close();
  });

  it("count the lines by time and level, whether they are few or many", async () => {
    const few = [line("a", 55 * MINUTE, { level: "error" }), line("b", 5 * MINUTE)];
    await citadel.ingest(tenant, few);
    const times = {
      from: new Date(now - 60 * MINUTE).toISOString(),
      before: new Date(now).toISOString(),
    };
    const totals = async () => {
      const { buckets } = await get<Histogram>(url("/histogram", times));
      assert.equal(buckets.length, 30);
      const sum = (level: Level) => buckets.reduce((total, bucket) => total + bucket[level], 0);
      return { buckets, sums: LEVELS.map(sum) };
    };
    const first = await totals();
    assert.deepEqual(first.sums, [1, 0, 1, 0, 0]);
    assert.deepEqual([first.buckets[2]?.error, first.buckets[27]?.info], [1, 1]);

    await manyLines();
    const burst = Array.from({ length: 600 }, (_, at) => line(`burst ${at}`, 31 * MINUTE));
    await citadel.ingest(tenant, burst);
    const second = await totals();
    assert.deepEqual(second.sums, [181, 180, 781, 180, 180]);
    assert.ok((second.buckets[14]?.info ?? 0) >= 600);
  });

  it("limit the histograms of a caller", async () => {
    const limited = await fakeService({ limits: { histogramsPerMinute: 1 } });
    const viewer = bearer(limited.key("viewer"));
    const ask = () => limited.app.inject({ url: url("/histogram"), headers: viewer });
    assert.deepEqual([(await ask()).statusCode, (await ask()).statusCode], [404, 429]);
    await limited.app.close();
  });

  describe("tail", () => {
    let address: string;
    beforeEach(async () => {
      address = await app.listen({ host: "127.0.0.1", port: 0 });
    });

    /** The first `count` lines of a tail; `onLine` runs after each. */
    async function tailed(
      count: number,
      more: Record<string, string> = {},
      onLine: (at: number) => Promise<unknown> | void = () => undefined,
    ) {
      const stop = new AbortController();
      const options = { headers: { ...headers, ...more }, signal: stop.signal };
      const answer = await fetch(address + url("/tail", { limit: "2" }), options);
      assert.equal(answer.headers.get("content-type"), "text/event-stream");
      const found: { id: string; message: string }[] = [];
      const notes: string[] = [];
      for await (const { type, data, id } of serverSentEvents(answer.body!)) {
        if (type === "note") notes.push(data);
        if (type !== "line") continue;
        found.push({ id, message: (JSON.parse(data) as Line).message });
        await onLine(found.length);
        if (found.length === count) break;
      }
      stop.abort();
      return {
        ids: found.map(({ id }) => id),
        messages: found.map(({ message }) => message),
        notes,
      };
    }

    it("begins with the newest lines, and goes on with new ones after Citadel was away", async () => {
      await citadel.ingest(tenant, [line("1", 3), line("2", 2), line("3", 1)]);
      const { messages, notes } = await tailed(4, {}, async (at) => {
        if (at === 2) await citadel.ingest(tenant, [line("4", 0)]);
        if (at !== 3) return;
        server.cutTails();
        await citadel.ingest(tenant, [line("5", 0)]);
      });
      assert.deepEqual(messages, ["2", "3", "4", "5"]);
      assert.match(notes.join(), /again/);
    });

    it("continues after Last-Event-ID without a missing or repeated line", async () => {
      const lines = Array.from({ length: 9 }, (_, at) => line(`${at}`, 9 - at));
      await citadel.ingest(tenant, lines);
      const first = await tailed(2);
      assert.deepEqual(first.messages, ["7", "8"]);
      await citadel.ingest(tenant, [line("9", 0), line("10", 0)]);
      const second = await tailed(2, { "last-event-id": first.ids[1] ?? "" });
      assert.deepEqual(second.messages, ["9", "10"]);
    });
  });

  it("count the errors of the projects that a caller may see, and none without Citadel", async () => {
    const of = async () => new Map([[tenant, 7]]);
    const projects = {
      ...PROJECTS,
      list: async () => [{ ...PROJECT, citadelTenantId: tenant, key: "" }],
    };
    const own = await fakeService({ projects, errorCounts: { of } });
    const ask = (parts: FakeService, slugs: string) =>
      parts.app.inject({
        url: `/v1/logs/errors?slugs=${slugs}`,
        headers: bearer(parts.key("viewer", { project: "my-app" })),
      });
    assert.deepEqual((await ask(own, "my-app")).json(), { items: [{ slug: "my-app", errors: 7 }] });
    assert.equal((await ask(own, "my-app,blog")).statusCode, 403);
    assert.equal((await ask(own, "My App")).statusCode, 400);
    const many = Array.from({ length: 101 }, () => "my-app").join(",");
    assert.equal((await ask(own, many)).statusCode, 400);
    assert.deepEqual((await ask(await fakeService({ projects }), "my-app")).json(), { items: [] });
  });
});
