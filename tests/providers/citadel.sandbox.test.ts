import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { markOf, NO_OWNER } from "../../core/ownership.ts";
import { Citadel as Client } from "../../providers/citadel/client.ts";
import { provider } from "../../providers/citadel/environment.ts";
import { provider as groups } from "../../providers/citadel/group.ts";
import { type Citadel, startCitadel } from "../../sandbox/citadel/server.ts";
import { fails } from "../support/errors.ts";
import { uniqueSlug } from "../support/unique-slug.ts";
import { testVariables, withVariables } from "../support/variables.ts";
import { testOwner } from "../support/owner.ts";

type Props = Record<string, unknown>;

/** Uses a server in this process, because only that can be told to fail. */
describe("Citadel", () => {
  const set = testVariables();
  let server: Citadel;
  let citadel: Client;
  let slug: string;

  const inputs = (more: Props = {}): Props => ({
    slug,
    name: `The ${slug}`,
    organization: "orchard9",
    owner: testOwner(slug),
    group: "projects",
    enabled: true,
    usePlatformTenant: false,
    ...more,
  });

  const make = async (more: Props = {}) => {
    const { id, outs } = await provider.create(inputs(more));
    return { id, outs: outs };
  };

  const byHand = (metadata: object = {}) =>
    citadel.environments.create({
      slug,
      name: "By hand",
      organization: "orchard9",
      metadata: { ...metadata },
    });

  before(async () => {
    server = await startCitadel({ organization: "orchard9" });
  });
  after(() => server.close());

  beforeEach(() => {
    set({
      CITADEL_URL: server.url,
      CITADEL_API_KEY: server.apiKey,
      CITADEL_AGENT_KEY: undefined,
      CITADEL_TENANT_ID: undefined,
    });
    citadel = new Client();
    slug = uniqueSlug();
  });
  afterEach(() => server.misbehave(undefined));

  describe("citadel:Environment", () => {
    it("creates a marked tenant that is a member of its group", async () => {
      const { id, outs } = await make();
      assert.deepEqual(outs, { ...inputs(), tenantId: id, adopted: false });
      const tenant = await citadel.environments.get(id);
      assert.equal(tenant?.name, `The ${slug}`);
      assert.deepEqual(tenant?.metadata, markOf(testOwner(slug)));
      assert((await citadel.groups.members("projects"))?.includes(id));
    });

    it("adopts the tenant that a killed run left, by its mark", async () => {
      const { id } = await byHand(markOf(testOwner(slug)));
      assert.equal((await make()).id, id);
      assert.equal((await citadel.environments.get(id))?.name, `The ${slug}`);
    });

    it("refuses an object made by hand or of another project, and leaves it untouched", async () => {
      for (const mark of [{}, { team: "payroll" }, markOf(testOwner(uniqueSlug()))]) {
        slug = uniqueSlug();
        const before = await byHand(mark);
        await fails(provider.create(inputs()), "RDEV_NOT_OURS");
        await provider.delete(before.id, inputs());
        assert.deepEqual(await citadel.environments.get(before.id), before);
      }
    });

    it("replaces an earlier version's mark only in an update of its own state", async () => {
      const former = { "managed-by": "rdev-infra", project: slug };
      const { id } = await byHand({ ...former, team: "payroll" });
      await fails(provider.create(inputs()), "RDEV_NOT_OURS");
      const { owner: _, ...before } = inputs();
      const state = { ...before, project: slug, tenantId: id, adopted: false };
      await provider.update(id, state, inputs());
      assert.deepEqual((await citadel.environments.get(id))?.metadata, {
        ...markOf(testOwner(slug)),
        team: "payroll",
      });
      assert.equal((await make()).id, id);
    });

    it("restores its mark after the mark was edited", async () => {
      const { id, outs } = await make();
      await citadel.environments.mark(id, { project: "edited" });
      const { props = {} } = await provider.read(id, outs);
      assert.deepEqual(props, { ...outs, owner: NO_OWNER });
      await provider.update(id, props, inputs());
      assert.deepEqual((await citadel.environments.get(id))?.metadata, markOf(testOwner(slug)));
    });

    it("refuses an environment of another platform or stack with the same name", async () => {
      const { id } = await make();
      const owner = testOwner(slug);
      for (const other of [
        { ...owner, platform: "prod" },
        { ...owner, stack: "f".repeat(16) },
      ]) {
        const theirs = inputs({ owner: other });
        await fails(provider.create(theirs), "RDEV_NOT_OURS");
        assert.equal(await provider.find(theirs), undefined);
        await provider.delete(id, theirs);
        assert.deepEqual((await citadel.environments.get(id))?.metadata, markOf(owner));
      }
    });

    it("checks the mark even if another run created the tenant meanwhile", async () => {
      const firstLookIsTooEarly = () =>
        server.misbehave({
          match: { method: "GET", path: /\/tenants$/ },
          status: 200,
          headers: { "content-type": "application/json" },
          body: '{"tenants":[]}',
          times: 1,
        });
      const ours = await byHand(markOf(testOwner(slug)));
      firstLookIsTooEarly();
      assert.equal((await make()).id, ours.id);

      slug = uniqueSlug();
      const theirs = await byHand();
      firstLookIsTooEarly();
      await fails(provider.create(inputs()), "RDEV_NOT_OURS");
      assert.deepEqual(await citadel.environments.get(theirs.id), theirs);
    });

    it("renames the tenant and moves it to another group in place", async () => {
      const { id, outs } = await make();
      const next = inputs({ name: "Another name", group: "archive" });
      const { replaces } = await provider.diff(id, outs, next);
      assert.deepEqual(replaces, []);
      const updated = await provider.update(id, outs, next);
      assert.deepEqual(updated.outs, { ...outs, ...next });
      assert.equal((await citadel.environments.get(id))?.name, "Another name");
      assert((await citadel.groups.members("archive"))?.includes(id));
      assert(!(await citadel.groups.members("projects"))?.includes(id));
    });

    it("finds drift of name and membership, and corrects it", async () => {
      const { id, outs } = await make();
      assert.deepEqual(await provider.read(id, outs), { id, props: outs, inputs: inputs() });
      await citadel.environments.rename(id, "Renamed");
      await citadel.groups.remove("projects", id);
      const { props = {} } = await provider.read(id, outs);
      assert.deepEqual(props, { ...outs, name: "Renamed", group: "" });
      await provider.update(id, props, inputs());
      assert.deepEqual((await provider.read(id, outs)).props, outs);
    });

    it("notices that the object is gone", async () => {
      const { id, outs } = await make();
      await citadel.environments.delete(id);
      assert.deepEqual(await provider.read(id, outs), { id: "", props: {} });
      await fails(provider.update(id, outs, inputs({ name: "Another" })), "RDEV_GONE");
    });

    it("deletes membership and tenant, also twice", async () => {
      const { id, outs } = await make();
      await provider.delete(id, outs);
      assert.equal(await citadel.environments.get(id), undefined);
      assert(!(await citadel.groups.members("projects"))?.includes(id));
      await provider.delete(id, outs);
    });

    describe("with a key that cannot see the tenant", () => {
      let elsewhere: Citadel;
      before(async () => {
        elsewhere = await startCitadel({ organization: "acme" });
      });
      after(() => elsewhere.close());

      /** Citadel answers a key of another organization like an empty Citadel would. */
      const foreign = async (work: () => Promise<unknown>) =>
        withVariables({ CITADEL_URL: elsewhere.url, CITADEL_API_KEY: elsewhere.apiKey }, work);

      it("does not count a tenant as gone if the key belongs to another organization", async () => {
        const { id, outs } = await make();
        const refused = async (instead: RegExp) => {
          for (const attempt of [
            () => provider.read(id, outs),
            () => provider.delete(id, outs),
            () => provider.find(inputs()),
            () => provider.update(id, outs, inputs({ name: "Another" })),
          ]) {
            const { message } = await fails(foreign(attempt), "RDEV_FORBIDDEN", [elsewhere.apiKey]);
            assert.match(message, instead);
          }
        };
        await refused(/no environment of the organization orchard9, nor its tenant group/);
        const other = new Client({ url: elsewhere.url, apiKey: elsewhere.apiKey });
        await other.groups.put("projects");
        const { id: theirs } = await other.environments.create({
          slug,
          name: "Theirs",
          organization: "acme",
          metadata: markOf(testOwner(slug)),
        });
        await refused(/no environment of the organization orchard9, only of acme/);
        assert.ok(await other.environments.get(theirs));
        assert.ok(await citadel.environments.get(id));
      });

      it("does not count a tenant as gone if the key may not manage environments", async () => {
        const { id, outs } = await make();
        await withVariables({ CITADEL_API_KEY: server.agentKey }, async () => {
          for (const attempt of [
            () => provider.read(id, outs),
            () => provider.delete(id, outs),
            () => provider.find(inputs()),
          ]) {
            await fails(attempt(), "RDEV_FORBIDDEN", [server.agentKey]);
          }
        });
        assert.ok(await citadel.environments.get(id));
      });
    });

    it("counts the last tenant of an organization as gone", async () => {
      const alone = await startCitadel({ organization: "orchard9" });
      const own = { CITADEL_URL: alone.url, CITADEL_API_KEY: alone.apiKey };
      await withVariables(own, async () => {
        const { id, outs } = await make();
        await new Client().environments.delete(id);
        assert.deepEqual(await provider.read(id, outs), { id: "", props: {} });
        await provider.delete(id, outs);
      }).finally(() => alone.close());
    });

    it("keeps another tenant that has the slug now", async () => {
      const { id, outs } = await make();
      await citadel.environments.delete(id);
      const other = await byHand(markOf(testOwner(slug)));
      await provider.delete(id, outs);
      assert.deepEqual(await citadel.environments.get(other.id), other);
    });

    it("records a create that failed half way, and an update finishes it", async () => {
      server.misbehave({ match: { method: "PUT", path: /tenant-groups/ }, status: 400 });
      const half = await fails(provider.create(inputs()), "RDEV_REFUSED", [server.apiKey]);
      assert.equal(half.id, (await citadel.environments.find(slug, "orchard9"))?.id);
      assert.deepEqual(half.properties, inputs());
      server.misbehave(undefined);
      const id = half.id ?? "";
      const { outs } = await provider.update(id, half.properties ?? {}, inputs());
      assert.deepEqual(outs, { ...inputs(), tenantId: id, adopted: false });
      assert((await citadel.groups.members("projects"))?.includes(id));
    });

    it("retries only requests that are safe to repeat", async () => {
      server.misbehave({ status: 503, times: 1 });
      await make();
      const { id, outs } = await make();
      server.misbehave({ match: { method: "DELETE" }, reset: true, times: 1 });
      await provider.delete(id, outs);
      assert.equal(await citadel.environments.get(id), undefined);
    });

    it("reports a refused key, a missing right and a server that is down", async () => {
      await withVariables({ CITADEL_API_KEY: "ck_live_wrong" }, async () => {
        const error = await fails(provider.create(inputs()), "RDEV_UNAUTHORIZED", [
          "ck_live_wrong",
        ]);
        assert.match(error.message, /CITADEL_API_KEY/);
      });
      await withVariables({ CITADEL_API_KEY: server.agentKey }, () =>
        fails(provider.create(inputs()), "RDEV_FORBIDDEN", [server.agentKey]),
      );
      await withVariables({ CITADEL_URL: "http://127.0.0.1:1" }, () =>
        fails(provider.create(inputs()), "RDEV_UNREACHABLE", [server.apiKey]),
      );
    }).timeout(20_000);
  });

  describe("citadel:Environment without Citadel", () => {
    const off = { CITADEL_URL: undefined, CITADEL_API_KEY: undefined };

    it("creates, reads, changes and deletes nothing, and needs no variable", async () => {
      await withVariables(off, async () => {
        const { id, outs } = await make({ enabled: false });
        assert.equal(id, "disabled");
        assert.deepEqual(outs, { ...inputs({ enabled: false }), tenantId: "", adopted: false });
        assert.deepEqual((await provider.read(id, outs)).props, outs);
        await provider.update(id, outs, inputs({ enabled: false, name: "Another" }));
        await provider.delete(id, outs);
      });
    });

    it("is created when Citadel is switched on", async () => {
      const { id, outs } = await make({ enabled: false });
      const { failures } = await provider.check(inputs({ enabled: false }), inputs());
      assert.deepEqual(failures, []);
      const { replaces } = await provider.diff(id, outs, inputs());
      assert.deepEqual(replaces, ["enabled"]);
    });

    it("refuses to be switched off while an environment exists", async () => {
      const { failures } = await provider.check(inputs(), inputs({ enabled: false }));
      assert.equal(failures?.length, 1);
      assert.equal(failures[0]?.property, "enabled");
      assert.match(failures[0].reason, /^RDEV_CITADEL_OFF: .*its logs.*CITADEL_ENABLED=true/);
      for (const olds of [{}, inputs({ enabled: false })]) {
        assert.deepEqual((await provider.check(olds, inputs({ enabled: false }))).failures, []);
      }
    });
  });

  describe("citadel:Environment with CITADEL_TENANT_ID", () => {
    it("adopts that tenant unchanged, and keeps it on delete", async () => {
      const tenant = await byHand({ team: "operations" });
      set({ CITADEL_TENANT_ID: tenant.id });
      const { id, outs } = await make({ usePlatformTenant: true, group: "platform" });
      assert.equal(id, tenant.id);
      assert.deepEqual(
        { tenantId: outs["tenantId"], adopted: outs["adopted"] },
        {
          tenantId: id,
          adopted: true,
        },
      );
      assert((await citadel.groups.members("platform"))?.includes(id));

      // An adopted tenant stays adopted, whatever the variable says later.
      set({ CITADEL_TENANT_ID: undefined });
      const { outs: updated = {} } = await provider.update(
        id,
        outs,
        inputs({ ...outs, name: "New" }),
      );
      assert.equal(updated["adopted"], true);
      assert.deepEqual((await provider.read(id, updated)).props, updated);
      await provider.delete(id, updated);
      assert.deepEqual(await citadel.environments.get(id), tenant);
      assert(!(await citadel.groups.members("platform"))?.includes(id));
    });

    it("does not affect other environments", async () => {
      const tenant = await byHand();
      set({ CITADEL_TENANT_ID: tenant.id });
      slug = uniqueSlug();
      assert.notEqual((await make()).id, tenant.id);
    });

    it("refuses a tenant that does not exist", async () => {
      const missing = randomUUID();
      set({ CITADEL_TENANT_ID: missing });
      const error = await fails(
        provider.create(inputs({ usePlatformTenant: true })),
        "RDEV_CONNECTION",
      );
      assert.match(error.message, new RegExp(`CITADEL_TENANT_ID is ${missing}`));
    });
  });

  describe("citadel:Group", () => {
    it("creates and finds a group, and keeps it on delete", async () => {
      const props = { name: slug, enabled: true };
      assert.deepEqual(await groups.read(slug, props), { id: "", props: {} });
      assert.deepEqual(await groups.create(props), { id: slug, outs: props });
      assert.deepEqual(await groups.create(props), { id: slug, outs: props });
      assert.deepEqual(await groups.read(slug, props), { id: slug, props, inputs: props });
      await groups.delete(slug, props);
      assert.deepEqual(await citadel.groups.members(slug), []);
    });

    it("creates nothing without Citadel, and needs no variable", async () => {
      const props = { name: slug, enabled: false };
      await withVariables({ CITADEL_URL: undefined, CITADEL_API_KEY: undefined }, async () => {
        assert.deepEqual(await groups.create(props), { id: "disabled", outs: props });
        assert.deepEqual(await groups.read("disabled", props), {
          id: "disabled",
          props,
          inputs: props,
        });
        await groups.delete("disabled", props);
      });
      assert.equal(await citadel.groups.members(slug), undefined);
    });
  });
});
