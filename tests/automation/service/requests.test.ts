import assert from "node:assert/strict";
import { request } from "node:http";
import { connect, type AddressInfo } from "node:net";
import type { InjectOptions } from "fastify";
import type { Role } from "../../../core/identity.ts";
import { InfraError } from "../../../core/errors.ts";
import type { Problem } from "../../../automation/service/schemas/problem.ts";
import {
  bearer,
  DRIFT,
  type FakeService,
  fakeService,
  OPERATION,
  PROJECT,
  PROJECTS,
} from "../../support/fake-service.ts";

describe("the HTTP service", () => {
  let service: FakeService;
  let admin: Record<string, string>;

  beforeEach(async () => {
    service = await fakeService();
    admin = bearer(service.key("admin"));
  });
  afterEach(() => service.app.close());

  async function problem(options: InjectOptions, status: number, code: string): Promise<Problem> {
    const answer = await service.app.inject({ headers: admin, ...options });
    assert.equal(answer.statusCode, status, answer.body);
    assert.match(String(answer.headers["content-type"]), /^application\/problem\+json/);
    const found = answer.json<Problem>();
    assert.deepEqual([found.code, found.status, found.type], [code, status, `/problems/${code}`]);
    assert.equal(found.instance, `urn:uuid:${String(answer.headers["x-request-id"])}`);
    assert.doesNotMatch(answer.body, /node_modules|\bat .*\.ts|zod|fastify/i);
    return found;
  }

  it("starts an operation, and answers with its location", async () => {
    const answer = await service.app.inject({
      method: "PUT",
      url: "/v1/projects/my-app?ifBusy=refuse",
      headers: { ...admin, "idempotency-key": "one" },
      payload: { name: "My App", sizes: { replicas: 2 }, onFailure: "rollback" },
    });
    assert.equal(answer.statusCode, 202, answer.body);
    assert.equal(answer.headers.location, `/v1/operations/${OPERATION.id}`);
    const [input] = service.submitted;
    assert.deepEqual(input?.request, {
      kind: "up",
      settings: { name: "My App", sizes: { replicas: 2 } },
      onFailure: "rollback",
    });
    assert.deepEqual(
      [input?.platform, input?.slug, input?.actor, input?.ifBusy, input?.idempotency?.key],
      ["staging", "my-app", "a-admin", "refuse", "one"],
    );
  });

  it("recognizes a repeated request, however its JSON is written", async () => {
    const put = (payload: string) =>
      service.app.inject({
        method: "PUT",
        url: "/v1/projects/my-app",
        headers: { ...admin, "idempotency-key": "one", "content-type": "application/json" },
        payload,
      });
    await put('{"name":"A","sizes":{"replicas":1,"cpuLimit":"1"}}');
    await put('{"sizes": {"cpuLimit":"1", "replicas":1}, "name":"A", "onFailure": "keep"}');
    await put('{"name":"B","sizes":{"replicas":1,"cpuLimit":"1"}}');
    const [one, same, other] = service.submitted.map(({ idempotency }) => idempotency?.fingerprint);
    assert.equal(one, same);
    assert.notEqual(one, other);
  });

  it("updates a template for the caller, or only shows with dryRun what it would change", async () => {
    const asked: unknown[] = [];
    const { app, key } = await fakeService({
      templates: {
        list: () => [],
        update: async (slug, options) => {
          asked.push([slug, options]);
          throw new InfraError("RDEV_TEMPLATE_MERGE", "the repository is archived");
        },
      },
    });
    const call = (query: string, role: Role) =>
      app.inject({
        method: "POST",
        url: `/v1/projects/my-app/template/update${query}`,
        headers: bearer(key(role)),
      });
    const answer = await call("", "operator");
    assert.equal(answer.statusCode, 409);
    const { code, detail } = answer.json<Problem>();
    assert.deepEqual([code, detail], ["RDEV_TEMPLATE_MERGE", "the repository is archived"]);
    await call("?dryRun=true", "admin");
    assert.equal((await call("?dryRun=perhaps", "admin")).statusCode, 400);
    assert.equal((await call("", "viewer")).statusCode, 403);
    assert.deepEqual(asked, [
      ["my-app", { actor: "a-operator", dryRun: false }],
      ["my-app", { actor: "a-admin", dryRun: true }],
    ]);
    await app.close();
  });

  it("derives the slug from a name, and refuses a name without one", async () => {
    const url = "/v1/projects";
    const made = { method: "POST", url, headers: admin, payload: { name: "My First Project!" } };
    assert.equal((await service.app.inject(made as InjectOptions)).statusCode, 202);
    assert.deepEqual(
      service.submitted.map(({ slug, mustBeNew }) => [slug, mustBeNew]),
      [["my-first-project", true]],
    );
    await problem({ method: "POST", url, payload: { name: "!!" } }, 400, "RDEV_SLUG");
  });

  it("adopts a project, or only shows what exists with dryRun, and never by a PUT", async () => {
    const headers = admin;
    const url = "/v1/projects/my-app/adopt";
    const settings = { name: "My App" };
    await service.app.inject({ method: "POST", url, headers, payload: settings });
    const dryRun = `${url}?dryRun=true`;
    await service.app.inject({ method: "POST", url: dryRun, headers, payload: settings });
    assert.deepEqual(
      service.submitted.map(({ request: asked }) => asked),
      [
        { kind: "up", settings, onFailure: "keep", adopt: true },
        { kind: "preview", of: "up", settings, adopt: true },
      ],
    );
    const payload = { ...settings, adopt: true };
    await problem({ method: "PUT", url: "/v1/projects/my-app", payload }, 400, "RDEV_REQUEST");
  });

  it("deletes a project, or only previews it with dryRun", async () => {
    const headers = admin;
    const url = "/v1/projects/my-app";
    await service.app.inject({ method: "DELETE", url: `${url}?retainData=true`, headers });
    await service.app.inject({ method: "DELETE", url: `${url}?dryRun=true`, headers });
    assert.deepEqual(
      service.submitted.map(({ request: asked }) => asked),
      [
        { kind: "destroy", retainData: true },
        { kind: "preview", of: "destroy", settings: {} },
      ],
    );
    await problem({ method: "DELETE", url: "/v1/projects/other" }, 404, "RDEV_NOT_FOUND");
  });

  it("stops and starts a project, whose other settings stay", async () => {
    for (const verb of ["stop", "start"]) {
      const url = `/v1/projects/my-app/${verb}?ifBusy=refuse`;
      const answer = await service.app.inject({ method: "POST", url, headers: admin });
      assert.equal(answer.statusCode, 202, answer.body);
    }
    assert.deepEqual(
      service.submitted.map(({ request: sent, ifBusy }) => ({ ...sent, ifBusy })),
      [true, false].map((stopped) => ({
        kind: "up",
        settings: { stopped },
        onFailure: "keep",
        ifBusy: "refuse",
      })),
    );
    const method = "POST";
    await problem({ method, url: "/v1/projects/no-app/stop" }, 404, "RDEV_NOT_FOUND");
  });

  it("lets only an admin give a project an end, or an earlier one", async () => {
    const soon = "2099-01-01T00:00:00Z";
    const late = "2099-06-01T00:00:00+02:00";
    const expiring = { ...PROJECT, settings: { expiresAt: "2099-03-01T00:00:00Z" } };
    const find = async (slug: string) =>
      slug === "ending" ? expiring : slug === PROJECT.slug ? PROJECT : undefined;
    const { app, key, submitted } = await fakeService({ projects: { ...PROJECTS, find } });
    const put = async (headers: Record<string, string>, slug: string, expiresAt: string) => {
      const url = `/v1/projects/${slug}`;
      const answer = await app.inject({ method: "PUT", url, headers, payload: { expiresAt } });
      return answer.statusCode === 202 ? 202 : answer.json<Problem>().code;
    };
    const operator = bearer(key("operator"));
    assert.equal(await put(operator, "my-app", soon), "RDEV_ROLE");
    assert.equal(await put(operator, "ending", soon), "RDEV_ROLE");
    const bound = bearer(key("admin", { project: "my-app" }));
    assert.equal(await put(bound, "ending", late), "RDEV_ROLE");
    assert.equal(submitted.length, 0);
    assert.equal(await put(operator, "ending", late), 202);
    assert.equal(await put(operator, "ending", "never"), 202);
    assert.equal(await put(operator, "new-app", soon), 202);
    assert.equal(await put(bound, "my-app", soon), 202);
    assert.equal(
      await put(bearer(key("admin")), "my-app", "2020-01-01T00:00:00Z"),
      "RDEV_SETTINGS",
    );
    assert.equal(await put(operator, "ending", "tomorrow"), "RDEV_REQUEST");
    await app.close();
  });

  it("names all errors in all parts of a request, with the values", async () => {
    const { errors, detail } = await problem(
      {
        method: "PUT",
        url: "/v1/projects/-Bad-?ifBusy=maybe&color=red",
        payload: { name: 7, sizes: { replicas: 21, colour: "red" }, "a/b": 1 },
      },
      400,
      "RDEV_REQUEST",
    );
    const found = errors?.map(({ in: part, pointer, value }) => [part, pointer, value]);
    for (const wanted of [
      ["path", "#/slug", "-Bad-"],
      ["query", "#/ifBusy", "maybe"],
      ["query", "#/color", undefined],
      ["body", "#/name", "7"],
      ["body", "#/sizes/replicas", "21"],
      ["body", "#/sizes/colour", undefined],
      ["body", "#/a~1b", undefined],
    ]) {
      assert.ok(
        found?.some((one) => JSON.stringify(one) === JSON.stringify(wanted)),
        `${JSON.stringify(wanted)} is not in ${JSON.stringify(found)}`,
      );
    }
    assert.match(detail, /^\d+ things are wrong: /);
    assert.deepEqual(service.submitted, []);
  });

  const bad: [what: string, options: InjectOptions, status: number, code: string][] = [
    ["a body that is no JSON", { payload: '{"name":' }, 400, "RDEV_REQUEST"],
    ["a body that is a list", { payload: "[]" }, 400, "RDEV_REQUEST"],
    ["a body that is null", { payload: "null" }, 202, ""],
    ["a prototype", { payload: '{"__proto__":{"admin":true}}' }, 400, "RDEV_REQUEST"],
    ["10 MiB", { payload: `{"name":"${"x".repeat(10 * 2 ** 20)}"}` }, 413, "RDEV_TOO_LARGE"],
    [
      "a form",
      { payload: "a=b", headers: { "content-type": "text/plain" } },
      415,
      "RDEV_MEDIA_TYPE",
    ],
  ];
  for (const [what, options, status, code] of bad) {
    it(`answers ${status} to ${what}`, async () => {
      const headers = { ...admin, "content-type": "application/json", ...options.headers };
      const put = { ...options, method: "PUT", url: "/v1/projects/my-app", headers } as const;
      if (code) await problem(put, status, code);
      else assert.equal((await service.app.inject(put)).statusCode, status);
    });
  }

  const tricks = [
    "..%2f..%2fetc",
    "%2e%2e",
    "my-app%00",
    "my_app",
    "MY-APP",
    "a".repeat(150),
    "my-app%2fx",
  ];
  for (const slug of tricks) {
    it(`refuses the slug ${slug.slice(0, 20)}`, async () => {
      const answer = await service.app.inject({
        method: "PUT",
        url: `/v1/projects/${slug}`,
        headers: admin,
        payload: {},
      });
      assert.ok([400, 404, 405].includes(answer.statusCode), answer.body);
      assert.match(String(answer.headers["content-type"]), /^application\/problem\+json/);
      assert.deepEqual(service.submitted, []);
    });
  }

  it("answers 400 to text with NUL or a lone surrogate, and says where it is", async () => {
    const url = "/v1/projects/my-app";
    for (const [payload, pointer] of [
      ['{"name":"a\\u0000b"}', "#/name"],
      ['{"name":"a\\ud800b"}', "#/name"],
      ['{"name":"\\ude00"}', "#/name"],
      ['{"sizes":{"a\\ud83d":1}}', "#/sizes/a%EF%BF%BD"],
    ] as const) {
      const headers = { ...admin, "content-type": "application/json" };
      const found = await problem({ method: "PUT", url, headers, payload }, 400, "RDEV_REQUEST");
      const item = found.errors?.find((one) => /surrogate/.test(one.detail));
      assert.deepEqual([item?.in, item?.pointer], ["body", pointer], JSON.stringify(found));
    }
    for (const address of [
      "/v1/audit?project=%00",
      "/v1/audit?action=a%00",
      "/v1/projects?search=a%00b",
      "/v1/operations?slug=%00",
      "/v1/projects/my-app%00",
    ]) {
      const { errors } = await problem({ url: address }, 400, "RDEV_REQUEST");
      assert.ok(
        errors?.some(({ detail }) => /NUL/.test(detail)),
        address,
      );
    }
    for (const labels of ["team", "team=", "=shop", "Team=shop", "team=a=b", "__proto__=a", ""]) {
      const address = `/v1/projects?labels=${encodeURIComponent(labels)}`;
      const { errors } = await problem({ url: address }, 400, "RDEV_REQUEST");
      assert.match(errors?.[0]?.detail ?? "", /labels such as team=shop/, address);
    }
    const nested = `{"sizes":${"[".repeat(30_000)}"\\u0000"${"]".repeat(30_000)}}`;
    const headers = { ...admin, "content-type": "application/json" };
    await problem({ method: "PUT", url, headers, payload: nested }, 400, "RDEV_REQUEST");
    assert.deepEqual(service.submitted, []);
  });

  it("answers with problems to unknown addresses, methods and cursors", async () => {
    await problem({ url: "/v1/nothing" }, 404, "RDEV_NOT_FOUND");
    await problem({ url: "/v1/projects/%zz" }, 400, "RDEV_REQUEST");
    await problem({ method: "PATCH", url: "/v1/projects/my-app" }, 405, "RDEV_METHOD");
    const answer = await service.app.inject({ method: "PATCH", url: "/v1/projects/my-app" });
    assert.equal(answer.headers.allow, "DELETE, GET, HEAD, PUT");
    const headers = { ...admin, "idempotency-key": "x".repeat(201) };
    const put = { method: "PUT", url: "/v1/projects/my-app", payload: {}, headers } as const;
    const { errors } = await problem(put, 400, "RDEV_REQUEST");
    assert.deepEqual([errors?.[0]?.in, errors?.[0]?.value], ["header", undefined]);
    for (const cursor of [
      "x",
      "b3BlcmF0aW9uOjE",
      Buffer.from("project:../x").toString("base64url"),
    ]) {
      await problem({ url: `/v1/projects?cursor=${cursor}` }, 400, "RDEV_REQUEST");
    }
    await problem({ url: "/v1/operations/1" }, 400, "RDEV_REQUEST");
  });

  it("answers with a problem to data that is not HTTP", async () => {
    await service.app.listen({ host: "127.0.0.1", port: 0 });
    const { port } = service.app.server.address() as AddressInfo;
    const raw = (text: string) =>
      new Promise<string>((resolve, reject) => {
        let all = "";
        const socket = connect(port, "127.0.0.1", () => socket.write(text));
        socket.on("data", (data) => (all += data.toString()));
        socket.on("end", () => resolve(all)).on("error", reject);
      });
    assert.match(await raw("HELLO\r\n\r\n"), /^HTTP\/1\.1 400 [\s\S]*"code":"RDEV_REQUEST"/);
    const large = `GET / HTTP/1.1\r\nhost: a\r\nx: ${"x".repeat(20_000)}\r\n\r\n`;
    assert.match(await raw(large), /^HTTP\/1\.1 431 [\s\S]*application\/problem\+json/);
  });

  it("ends a request that does not arrive in time", async () => {
    const slow = await fakeService({ limits: { requestTimeoutMs: 300 } });
    await slow.app.listen({ host: "127.0.0.1", port: 0 });
    const { port } = slow.app.server.address() as AddressInfo;
    const headers = { ...bearer(slow.key("admin")), "content-type": "application/json" };
    const answer = await new Promise<number | undefined>((resolve) => {
      const sent = request({ port, method: "PUT", path: "/v1/projects/my-app", headers });
      sent.on("response", (response) => resolve(response.statusCode));
      sent.on("error", () => resolve(undefined));
      sent.write('{"name":');
    });
    assert.ok(answer === 408 || answer === undefined, String(answer));
    await slow.app.close();
  });

  it("shows internal errors in the log only", async () => {
    const inner = async () => {
      throw new Error("password=hunter2 at 10.0.0.7");
    };
    const down = async () => {
      throw new InfraError("RDEV_UNREACHABLE", "PostgreSQL at 10.0.0.7:5432 cannot be reached.");
    };
    const operations = { list: inner, find: down } as never;
    const broken = await fakeService({ operations });
    const headers = bearer(broken.key("viewer"));
    const internal = await broken.app.inject({ url: "/v1/operations", headers });
    assert.deepEqual([internal.statusCode, internal.json<Problem>().code], [500, "RDEV_INTERNAL"]);
    const gone = await broken.app.inject({ url: `/v1/operations/${OPERATION.id}`, headers });
    assert.deepEqual([gone.statusCode, gone.json<Problem>().code], [503, "RDEV_UNREACHABLE"]);
    assert.doesNotMatch(internal.body + gone.body, /hunter2|10\.0\.0\.7|stack/);
    const log = JSON.stringify(broken.lines);
    assert.match(log, /hunter2/);
    assert.ok(log.includes(internal.json<Problem>().instance.slice("urn:uuid:".length)));
    await broken.app.close();
  });

  it("is alive, and ready only while it can work", async () => {
    let error: Error | undefined = new InfraError("RDEV_STORE", "not migrated");
    const starting = await fakeService({
      checkReady: async () => {
        if (error) throw error;
      },
    });
    const statusOf = async (url: string) => (await starting.app.inject(url)).statusCode;
    assert.deepEqual([await statusOf("/healthz"), await statusOf("/readyz")], [200, 503]);
    error = undefined;
    assert.equal(await statusOf("/readyz"), 200);
    await starting.app.close();
  });

  it("logs each request in the fields of the platform's queries, without secrets", async () => {
    const text = service.key("operator", { name: "ci" });
    await service.app.inject({
      method: "PUT",
      url: "/v1/projects/my-app?secret=hunter2",
      headers: bearer(text),
      payload: { name: "hunter2" },
    });
    await service.app.inject({
      method: "PUT",
      url: "/v1/projects/my-app",
      headers: bearer(text),
      payload: { name: "hunter2" },
    });
    const line = service.lines.find(({ status }) => status === 202);
    const { level, component, project_id, operation_id, key, route, duration_ms, time, msg } =
      line!;
    assert.deepEqual(
      [level, component, project_id, operation_id, key, route],
      ["info", "http", "my-app", OPERATION.id, "ci", "/v1/projects/:slug"],
    );
    assert.equal(typeof duration_ms, "number");
    assert.ok(!Number.isNaN(Date.parse(String(time))) && msg);
    const all = JSON.stringify(service.lines);
    assert.ok(!all.includes(text.slice(21)) && !all.includes("hunter2"));
    assert.ok(Object.values(line!).every((value) => typeof value !== "object"));
  });

  it("lists all drift page by page", async () => {
    const all = ["blog", "my-app", "shop"].map((slug) => ({ ...DRIFT, slug }));
    const list = async ({ after = "", limit }: { after?: string; limit: number }) =>
      all.filter(({ slug }) => slug > after).slice(0, limit);
    const { app, key } = await fakeService({ drift: { list } as never });
    const headers = bearer(key("viewer"));
    const slugs: string[] = [];
    for (let more = ""; slugs.length < all.length;) {
      const answer = await app.inject({ url: `/v1/drift?limit=1${more}`, headers });
      assert.equal(answer.statusCode, 200, answer.body);
      const { items, next } = answer.json<{ items: { slug: string }[]; next?: string }>();
      slugs.push(...items.map(({ slug }) => slug));
      more = `&cursor=${next}`;
    }
    assert.deepEqual(slugs, ["blog", "my-app", "shop"]);
    await app.close();
  });

  it("measures requests by route", async () => {
    await service.app.inject({ url: "/v1/projects/my-app", headers: admin });
    const { body } = await service.app.inject({ url: "/metrics", headers: admin });
    assert.match(
      body,
      /rdev_http_request_duration_seconds_count\{[^}]*route="\/v1\/projects\/:slug"/,
    );
    assert.equal((await service.app.inject("/metrics")).statusCode, 401);
  });

  it("serves the meaning of each code at the address in a problem's type", async () => {
    const answer = await service.app.inject("/problems/RDEV_BUSY");
    assert.equal(answer.json<{ status: number }>().status, 409);
  });
});
