import assert from "node:assert/strict";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import type { FastifyInstance, InjectOptions, RouteOptions } from "fastify";
import { type Role, ROLES } from "../../../core/identity.ts";
import type { Access } from "../../../automation/service/access.ts";
import type { Problem } from "../../../automation/service/schemas/problem.ts";
import {
  bearer,
  type FakeService,
  fakeService,
  OPERATION,
  PROJECT,
  PROJECTS,
} from "../../support/fake-service.ts";
import { Identities, ORIGIN } from "../../support/identities.ts";

interface Route {
  readonly method: string;
  /** With the only project and operation in place of the parameters. */
  readonly url: string;
  readonly access: Access;
}

interface Caller {
  readonly role: Role | undefined;
  readonly project: string | null;
}

/** Each kind of caller, with a role in all projects or in one. */
const KINDS = ["key", "user", "session", "serviceAccount"] as const;

/** Every route that the service registers, so that a new one is tested without a change here. */
describe("every route", () => {
  let identities: Identities;
  let service: FakeService;
  let routes: Route[];
  const listed: unknown[] = [];
  const cancelled: string[] = [];

  before(async () => {
    identities = await Identities.start();
    routes = [];
    const note = (message: unknown) => {
      const { fastify } = message as { fastify: FastifyInstance };
      fastify.addHook("onRoute", (route) => void routes.push(...routesOf(route)));
    };
    subscribe("fastify.initialization", note);
    service = await fakeService(
      {
        projects: {
          ...PROJECTS,
          list: async (query) => (visible(query.slugs) ? PROJECTS.list(query) : []),
        },
        operations: {
          submit: async (input) => {
            service.submitted.push(input);
            return { operation: OPERATION, replayed: false };
          },
          find: async () => OPERATION,
          list: async ({ slugs }) => (visible(slugs) ? [OPERATION] : []),
          events: async () => [],
          async *follow() {},
          cancel: async (id) => {
            cancelled.push(id);
            return OPERATION;
          },
        },
        auditPage: async ({ projects }) => {
          listed.push(projects);
          return [];
        },
        // The test asks every route without a credential, and they are more than the default.
        limits: { unauthenticatedPerMinute: 1_000 },
      },
      identities.options(),
    );
    unsubscribe("fastify.initialization", note);
    await service.app.ready();
  });
  after(async () => {
    await service.app.close();
    await identities.stop();
  });

  const visible = (slugs: readonly string[] | undefined) => slugs?.includes(PROJECT.slug) ?? true;

  async function headersOf(
    kind: (typeof KINDS)[number],
    { role, project }: Caller,
  ): Promise<Record<string, string>> {
    const name = project === null ? `${role}` : `${project}-${role}`;
    if (kind === "user") return bearer(await identities.user({ groups: [name] }));
    if (kind === "serviceAccount") return bearer(await identities.serviceAccount(name));
    if (kind === "session") return { cookie: await identities.session([name]), origin: ORIGIN };
    return bearer(service.key(role ?? "viewer", { project }));
  }

  const call = ({ method, url }: Route, headers: Record<string, string>) => {
    const writes = method === "POST" || method === "PUT";
    const payload = writes && { payload: { name: PROJECT.name } };
    return service.app.inject({ method, url, headers, ...payload } as InjectOptions);
  };

  it("is open, or refuses callers without a credential", async () => {
    assert.ok(routes.length > 20, `${routes.length} routes`);
    for (const route of routes) {
      const { statusCode } = await call(route, {});
      assert.equal(statusCode === 401, route.access !== "open", `${route.method} ${route.url}`);
    }
  });

  for (const kind of KINDS) {
    it(`admits each ${kind} by its role`, async () => {
      const callers: Caller[] = [undefined, ...ROLES].map((role) => ({ role, project: null }));
      for (const caller of kind === "key" ? callers.slice(1) : callers) {
        const headers = await headersOf(kind, caller);
        for (const route of routes) {
          const answer = await call(route, headers);
          const what = `${caller.role} ${route.method} ${route.url}: ${answer.statusCode}`;
          assert.equal(answer.statusCode !== 403, mayUse(caller.role, route.access), what);
          assert.notEqual(answer.statusCode, 401, what);
        }
      }
    });

    it(`shows a ${kind} that is bound to another project nothing of this one`, async () => {
      service.submitted.length = 0;
      cancelled.length = 0;
      listed.length = 0;
      for (const role of ROLES) {
        const headers = await headersOf(kind, { role, project: "other" });
        for (const route of routes.filter(({ access }) => access !== "open")) {
          const answer = await call(route, headers);
          const what = `${role} ${route.method} ${route.url}: ${answer.statusCode}`;
          const isOfProject = [PROJECT.slug, OPERATION.id].some((id) => route.url.includes(id));
          if (isOfProject) assert.equal(answer.statusCode, 403, what);
          const isRefused = answer.statusCode === 403;
          if (isRefused && answer.body) {
            assert.equal(answer.json<Problem>().code, "RDEV_ROLE", what);
          }
          const mine = new RegExp(`${PROJECT.slug}|${OPERATION.id}`);
          if (!isRefused) assert.doesNotMatch(answer.body, mine, what);
        }
      }
      assert.deepEqual([service.submitted, cancelled], [[], []]);
      assert.ok(listed.length > 0);
      for (const projects of listed) assert.deepEqual(projects, ["other"]);
    });
  }

  it("that writes refuses a session from another site", async () => {
    const cookie = await identities.session(["admin"]);
    const sites: [what: string, headers: Record<string, string>, isOwn: boolean][] = [
      ["nothing", {}, false],
      ["another origin", { origin: "https://evil.example" }, false],
      ["an opaque origin", { origin: "null" }, false],
      ["another site", { origin: ORIGIN, "sec-fetch-site": "cross-site" }, false],
      ["another host of the site", { "sec-fetch-site": "same-site" }, false],
      ["its own origin", { origin: ORIGIN }, true],
      ["its own page", { "sec-fetch-site": "same-origin" }, true],
    ];
    for (const route of routes.filter(({ access }) => access !== "open")) {
      for (const [what, headers, isOwn] of sites) {
        const answer = await call(route, { ...headers, cookie });
        const reads = ["GET", "HEAD"].includes(route.method);
        const refused = answer.statusCode === 403 && answer.json<Problem>().code === "RDEV_ORIGIN";
        assert.equal(refused, !reads && !isOwn, `${route.method} ${route.url} from ${what}`);
      }
    }
  });
});

function routesOf({ method, url, config }: RouteOptions): Route[] {
  const values: Record<string, string> = {
    slug: PROJECT.slug,
    id: OPERATION.id,
    code: "RDEV_KEY",
    version: "0123456789abcdef",
  };
  const filled = url.replace(/:(\w+)/g, (_, name: string) => values[name] ?? assert.fail(url));
  const access = config?.access ?? assert.fail(`${url} has no access`);
  return [method].flat().map((one) => ({ method: one, url: filled, access }));
}

function mayUse(role: Role | undefined, access: Access): boolean {
  if (access === "open" || access === "known") return true;
  return role !== undefined && ROLES.indexOf(role) >= ROLES.indexOf(access);
}
