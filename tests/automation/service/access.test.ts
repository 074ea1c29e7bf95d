import assert from "node:assert/strict";
import type { InjectOptions } from "fastify";
import type { Problem } from "../../../automation/service/schemas/problem.ts";
import { InfraError } from "../../../core/errors.ts";
import { type Role, ROLES } from "../../../core/identity.ts";
import { bearer, fakeService, OPERATION, ROLLOUT } from "../../support/fake-service.ts";

const ROUTES: [needed: Role, method: string, url: string][] = [
  ["viewer", "GET", "/v1/projects"],
  ["viewer", "GET", "/v1/projects/my-app"],
  ["viewer", "GET", "/v1/projects/my-app/resources"],
  ["viewer", "GET", "/v1/operations"],
  ["viewer", "GET", `/v1/operations/${OPERATION.id}`],
  ["viewer", "GET", `/v1/operations/${OPERATION.id}/events`],
  ["viewer", "GET", "/v1/projects/my-app/logs"],
  ["viewer", "GET", "/v1/projects/my-app/logs/tail"],
  ["viewer", "GET", "/v1/projects/my-app/logs/download"],
  ["viewer", "GET", "/v1/projects/my-app/logs/histogram"],
  ["viewer", "GET", "/v1/statistics"],
  ["viewer", "GET", "/v1/rollouts"],
  ["viewer", "GET", `/v1/rollouts/${ROLLOUT.id}/report`],
  ["viewer", "GET", "/v1/rollouts/requests"],
  ["viewer", "GET", "/metrics"],
  ["operator", "POST", "/v1/projects"],
  ["operator", "PUT", "/v1/projects/my-app"],
  ["operator", "POST", "/v1/projects/my-app/preview"],
  ["operator", "POST", "/v1/projects/my-app/refresh"],
  ["operator", "POST", "/v1/projects/my-app/template/update"],
  ["viewer", "GET", "/v1/drift"],
  ["viewer", "GET", "/v1/drift/runs"],
  ["operator", "POST", "/v1/drift/runs"],
  ["viewer", "GET", "/v1/projects/my-app/drift"],
  ["operator", "POST", "/v1/projects/my-app/drift/check"],
  ["operator", "POST", "/v1/projects/my-app/drift/fix"],
  ["operator", "POST", "/v1/projects/my-app/stop"],
  ["operator", "POST", "/v1/projects/my-app/start"],
  ["operator", "POST", `/v1/operations/${OPERATION.id}/cancel`],
  ["admin", "DELETE", "/v1/projects/my-app"],
  ["admin", "POST", "/v1/projects/my-app/adopt"],
  ["operator", "POST", "/v1/rollouts"],
  ["operator", "POST", `/v1/rollouts/${ROLLOUT.id}/cancel`],
  ["operator", "POST", `/v1/rollouts/requests/${OPERATION.id}/cancel`],
  ["approver", "POST", `/v1/rollouts/${ROLLOUT.id}/approve`],
  ["admin", "GET", "/v1/audit"],
  ["admin", "GET", "/v1/notifications"],
  ["admin", "POST", "/v1/notifications/resend"],
  ["admin", "POST", `/v1/notifications/${OPERATION.id}/resend`],
];

const BODIES: Readonly<Record<string, object>> = {
  "/v1/projects": { name: "My App" },
  [`/v1/rollouts/${ROLLOUT.id}/approve`]: { plan: ROLLOUT.plan },
};

describe("access control", () => {
  it("allows each role its own routes and those of lower roles", async () => {
    const { app, key, audit } = await fakeService();
    for (const role of ROLES) {
      const headers = bearer(key(role));
      for (const [needed, method, url] of ROUTES) {
        const body = method === "POST" && BODIES[url];
        const options = { method, url, headers, ...(body && { payload: body }) };
        const { statusCode } = await app.inject(options as InjectOptions);
        const may = ROLES.indexOf(role) >= ROLES.indexOf(needed);
        assert.equal(statusCode !== 403, may, `${role} ${method} ${url}: ${statusCode}`);
        assert.ok(statusCode < 500, `${method} ${url}: ${statusCode}`);
      }
    }
    const refused = audit.filter(({ action }) => action === "api.refuse");
    const above = (role: string) => ROUTES.filter(([needed]) => needed === role).length;
    // A viewer is refused on all of them, and an approver on the last ones.
    const expected = above("operator") + 2 * above("approver") + 3 * above("admin");
    assert.equal(refused.length, expected, "each refusal is in the audit trail");
    const deletion = refused.find(({ details }) => details?.["method"] === "DELETE");
    assert.deepEqual(
      [deletion?.actor, deletion?.projectId, deletion?.component, deletion?.result],
      ["a-viewer", "my-app", "http", "failure"],
    );
    await app.close();
  });

  it("lets an approver approve a plan of all projects, and an admin alone the loss of data", async () => {
    const { app, key, audit } = await fakeService();
    const approve = async (text: string, dataLoss: boolean) => {
      const answer = await app.inject({
        method: "POST",
        url: `/v1/rollouts/${ROLLOUT.id}/approve`,
        headers: bearer(text),
        payload: { plan: ROLLOUT.plan, dataLoss },
      });
      return answer.statusCode === 202 ? 202 : answer.json<Problem>().code;
    };
    assert.equal(await approve(key("approver"), false), 202);
    assert.equal(await approve(key("admin"), true), 202);
    assert.deepEqual(audit, []);
    assert.equal(await approve(key("approver"), true), "RDEV_ROLE");
    assert.equal(await approve(key("approver", { project: "my-app" }), false), "RDEV_ROLE");
    assert.equal(await approve(key("operator"), false), "RDEV_ROLE");
    assert.deepEqual(
      audit.map(({ action, actor }) => [action, actor]),
      [
        ["api.refuse", "a-approver"],
        ["api.refuse", "a-approver"],
        ["api.refuse", "a-operator"],
      ],
    );
    await app.close();
  });

  it("gives a role that this version does not know no right", async () => {
    const { app, key } = await fakeService();
    const headers = bearer(key("viewer", { role: "owner" }));
    const answer = await app.inject({ method: "GET", url: "/v1/projects", headers });
    const { code, detail } = answer.json<Problem>();
    assert.deepEqual([answer.statusCode, code], [403, "RDEV_ROLE"]);
    assert.match(detail, /its role "owner" is unknown to this version/);
    const me = await app.inject({ method: "GET", url: "/auth/me", headers });
    assert.deepEqual([me.statusCode, me.json<{ grants: unknown }>().grants], [200, []]);
    await app.close();
  });

  it("needs a key on every route except the open ones", async () => {
    const { app } = await fakeService();
    for (const [, method, url] of ROUTES) {
      const answer = await app.inject({ method: method as "GET", url });
      assert.equal(answer.statusCode, 401, url);
      assert.equal(answer.headers["www-authenticate"], 'Bearer realm="rdev-infra"');
      assert.equal(answer.json<Problem>().code, "RDEV_KEY");
    }
    for (const url of ["/healthz", "/readyz", "/openapi.json"]) {
      assert.equal((await app.inject(url)).statusCode, 200, url);
    }
    await app.close();
  });

  it("limits a key that is bound to a project to that project", async () => {
    const { app, key, submitted } = await fakeService();
    const mine = bearer(key("admin", { project: "my-app" }));
    const other = bearer(key("admin", { project: "other" }));
    const on = (headers: Record<string, string>, method: string, url: string, payload?: object) =>
      app
        .inject({ method: method as "GET", url, headers, ...(payload && { payload }) })
        .then(({ statusCode }) => statusCode);
    assert.equal(await on(mine, "GET", "/v1/projects/my-app"), 200);
    assert.equal(await on(other, "GET", "/v1/projects/my-app"), 403);
    assert.equal(await on(other, "DELETE", "/v1/projects/my-app"), 403);
    assert.equal(await on(other, "GET", `/v1/operations/${OPERATION.id}`), 403);
    assert.equal(await on(other, "GET", `/v1/operations/${OPERATION.id}/events`), 403);
    assert.equal(await on(other, "POST", `/v1/operations/${OPERATION.id}/cancel`), 403);
    assert.equal(await on(other, "GET", "/v1/operations?slug=my-app"), 403);
    assert.equal(await on(other, "GET", "/v1/audit?project=my-app"), 403);
    assert.equal(await on(other, "POST", "/v1/projects", { name: "My App" }), 403);
    assert.equal(await on(other, "GET", "/metrics"), 403);
    assert.equal(await on(other, "GET", "/v1/projects/my-app/drift"), 403);
    assert.equal(await on(other, "POST", "/v1/projects/my-app/drift/fix"), 403);
    assert.equal(await on(other, "GET", "/v1/drift/runs"), 403);
    assert.equal(await on(other, "POST", "/v1/drift/runs"), 403);
    assert.equal(await on(mine, "GET", "/v1/notifications"), 403);
    assert.equal(await on(mine, "POST", "/v1/notifications/resend"), 403);
    assert.equal(await on(mine, "POST", "/v1/projects", { name: "My App" }), 202);
    assert.deepEqual(
      submitted.map(({ slug }) => slug),
      ["my-app"],
    );
    await app.close();
  });

  it("lists only the project of a bound key", async () => {
    const asked: unknown[] = [];
    const list = async (query: unknown) => {
      asked.push(query);
      return [];
    };
    const { app, key } = await fakeService({
      projects: { list } as never,
      operations: { list } as never,
      drift: { list } as never,
      auditPage: list,
      statistics: list,
    });
    const headers = bearer(key("admin", { project: "my-app" }));
    for (const url of [
      "/v1/projects",
      "/v1/operations",
      "/v1/audit",
      "/v1/statistics",
      "/v1/drift",
    ]) {
      assert.equal((await app.inject({ url, headers })).statusCode, 200);
    }
    assert.deepEqual(
      asked.map((query) => {
        const { slugs, projects } = query as { slugs?: string[]; projects?: string[] };
        return slugs ?? projects;
      }),
      [["my-app"], ["my-app"], ["my-app"], ["my-app"], ["my-app"]],
    );
    await app.close();
  });

  it("limits the requests per key, and says how long to wait", async () => {
    const { app, key, audit } = await fakeService({ limits: { requestsPerMinute: 3 } });
    const [one, other] = [bearer(key("viewer", { name: "one" })), bearer(key("viewer"))];
    const statusOf = async (headers: Record<string, string>) =>
      (await app.inject({ url: "/v1/projects", headers })).statusCode;
    const statuses = [];
    for (let i = 0; i < 6; i += 1) statuses.push(await statusOf(one));
    assert.deepEqual(statuses, [200, 200, 200, 429, 429, 429]);
    assert.equal(await statusOf(other), 200);
    const answer = await app.inject({ url: "/v1/projects", headers: one });
    assert.ok(Number(answer.headers["retry-after"]) >= 1);
    assert.equal(answer.json<Problem>().code, "RDEV_RATE_LIMITED");
    assert.deepEqual(
      audit.map(({ actor }) => actor),
      ["one"],
      "one event a minute",
    );
    await app.close();
  });

  it("writes a flood of refusals to the audit trail as two events", async () => {
    const { app, key, audit } = await fakeService();
    const viewer = bearer(key("viewer"));
    for (let n = 0; n < 2_000; n += 1) {
      const { statusCode } = await app.inject({ url: "/v1/audit", headers: viewer });
      assert.equal(statusCode, 403);
    }
    assert.equal(audit.length, 1);
    await app.close();
    assert.deepEqual(
      audit.map(({ actor, details }) => [actor, details?.["code"], details?.["more"]]),
      [
        ["a-viewer", "RDEV_ROLE", undefined],
        ["a-viewer", "RDEV_ROLE", 1_999],
      ],
    );
  });

  it("refuses and logs a request whose refusal cannot be recorded", async () => {
    const record = () => Promise.reject(new InfraError("RDEV_STORE", "The database is away."));
    const { app, key, lines } = await fakeService({ audit: { record } });
    const url = "/v1/projects/my-app";
    const headers = bearer(key("viewer"));
    assert.equal((await app.inject({ method: "DELETE", url, headers })).statusCode, 403);
    const warning = lines.find(({ component }) => component === "audit");
    assert.deepEqual(
      [warning?.["code"], warning?.["msg"]],
      ["RDEV_ROLE", "refusals could not be recorded: RDEV_STORE: The database is away."],
    );
    await app.close();
  });

  it("limits unauthenticated requests per IPv6 network, and bounds their audit events", async () => {
    const { app, audit } = await fakeService({ limits: { unauthenticatedPerMinute: 5 } });
    const from = (remoteAddress: string) => app.inject({ url: "/v1/projects", remoteAddress });
    const statuses = [];
    for (let n = 1; n <= 10; n += 1) statuses.push((await from(`2001:db8:1:2::${n}`)).statusCode);
    assert.deepEqual(statuses, [401, 401, 401, 401, 401, 429, 429, 429, 429, 429]);
    assert.equal((await from("2001:db8:1:3::1")).statusCode, 401);
    assert.equal((await from("::ffff:192.0.2.1")).statusCode, 401);
    assert.equal(audit.length, 3);
    for (let n = 1; n <= 300; n += 1) await from(`2001:db8:2:${n}::1`);
    assert.equal(audit.length, 60);
    await app.close();
    const counts = audit.map(({ details }) => Number(details?.["more"] ?? 1));
    assert.equal(
      counts.reduce((sum, count) => sum + count),
      312,
      "each refusal is counted once",
    );
  });

  it("limits readiness probes per address, and checks the database once for all of them", async () => {
    let asked = 0;
    const { app } = await fakeService({
      limits: { probesPerMinute: 50 },
      checkReady: async () => void (asked += 1),
    });
    const all = await Promise.all(Array.from({ length: 40 }, () => app.inject("/readyz")));
    assert.equal(asked, 1);
    for (let n = 0; n < 20; n += 1) all.push(await app.inject("/readyz"));
    assert.equal(all.filter(({ statusCode }) => statusCode === 200).length, 50);
    const refused = all.filter(({ statusCode }) => statusCode === 429);
    assert.equal(refused.length, 10);
    assert.equal(refused[0]?.json<Problem>().code, "RDEV_RATE_LIMITED");
    assert.ok(Number(refused[0]?.headers["retry-after"]) >= 1);
    const other = await app.inject({ url: "/readyz", remoteAddress: "192.0.2.7" });
    assert.equal(other.statusCode, 200);
    await app.close();
  });

  it("does not put a visitor's question who they are into the audit trail, but every try of a key", async () => {
    const { app, audit } = await fakeService();
    assert.equal((await app.inject({ url: "/auth/me" })).statusCode, 401);
    assert.deepEqual(audit, []);
    const headers = bearer(`rdk_${"0".repeat(16)}_${"A".repeat(43)}`);
    assert.equal((await app.inject({ url: "/auth/me", headers })).statusCode, 401);
    assert.deepEqual(
      audit.map(({ details }) => details?.["route"]),
      ["/auth/me"],
    );
    await app.close();
  });

  it("refuses an address after many requests without a valid key, but not a valid key from there", async () => {
    const { app, key, audit } = await fakeService({ limits: { unauthenticatedPerMinute: 5 } });
    const good = bearer(key("viewer"));
    const list = (headers: Record<string, string>) => app.inject({ url: "/v1/projects", headers });
    assert.equal((await list(good)).statusCode, 200);
    const statuses = [];
    for (let i = 0; i < 200; i += 1) {
      statuses.push((await list(bearer(`rdk_${"0".repeat(16)}_${"A".repeat(43)}`))).statusCode);
    }
    assert.deepEqual([...new Set(statuses.slice(0, 5))], [401]);
    assert.deepEqual([...new Set(statuses.slice(5))], [429]);
    assert.equal((await list(good)).statusCode, 200);
    assert.equal(audit.length, 1, "a flood does not fill the audit trail");
    assert.deepEqual([audit[0]?.actor, audit[0]?.details?.["code"]], ["unknown", "RDEV_KEY"]);
    await app.close();
  });
});
