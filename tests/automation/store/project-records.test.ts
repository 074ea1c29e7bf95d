import assert from "node:assert/strict";
import { DriftRecords } from "../../../automation/drift/table.ts";
import { migrate } from "../../../automation/store/migrate.ts";
import { ProjectRecords, type ProjectOrder } from "../../../automation/store/project-records.ts";
import { Store } from "../../../automation/store/store.ts";
import { embeddedStore } from "../../support/embedded-store.ts";

const COUNT = 5_000;

/** In ms: generous, because tests run beside each other. The statements take a tenth of it. */
const MAX_MS = 1_500;

describe("a list of 5,000 projects", function () {
  this.timeout(60_000);
  let test: Awaited<ReturnType<typeof embeddedStore>>;
  let store: Store;
  let projects: ProjectRecords;

  before(async () => {
    test = await embeddedStore();
    await migrate(test);
    store = new Store({ url: test.url });
    projects = new ProjectRecords(store);
    await test.admin(`
      INSERT INTO projects (slug, platform, name, settings, outputs)
      SELECT 'app-' || lpad(n::text, 4, '0'), 'staging', 'Zebra ' || (${COUNT} - n), '{}', '{}'
      FROM generate_series(1, ${COUNT}) n`);
    // Three operations each: every 100th project has failed, every 250th is being changed.
    await test.admin(`
      INSERT INTO operations
        (id, platform, slug, kind, request, settings, state, actor, created_at, started_at, ended_at)
      SELECT ('01900000-0000-7000-8' || lpad(round::text, 3, '0') || '-' || lpad(n::text, 12, '0'))::uuid,
             'staging', 'app-' || lpad(n::text, 4, '0'), 'up',
             '{"kind": "up", "settings": {}, "onFailure": "keep"}', '{}',
             CASE WHEN round = 3 AND n % 250 = 0 THEN 'running'
                  WHEN round = 3 AND n % 100 = 0 THEN 'failed' ELSE 'succeeded' END,
             'rdev', now(), now(),
             CASE WHEN round = 3 AND n % 250 = 0 THEN NULL
                  ELSE timestamptz '2026-01-01' + n * interval '1 minute' END
      FROM generate_series(1, ${COUNT}) n, generate_series(1, 3) round`);
    await test.admin("ANALYZE");
  });

  after(async () => {
    await store.close();
    await test.close();
  });

  async function quickly<T>(work: Promise<T>): Promise<T> {
    const start = performance.now();
    const result = await work;
    const ms = performance.now() - start;
    assert.ok(ms < MAX_MS, `${ms} ms`);
    return result;
  }

  it("is counted by status", async () => {
    const counts = await quickly(projects.counts({}));
    assert.equal(counts.changing, 20);
    assert.equal(counts.incomplete, 40);
    assert.equal(counts.ready, COUNT - 60);
    assert.equal(counts.deleted, 0);
    assert.equal((await projects.counts({ search: "APP-010" })).incomplete, 1);
    assert.equal((await projects.counts({ slugs: ["app-0001"] })).ready, 1);
  });

  it("has pages that follow each other without a gap, in every order and both ways", async () => {
    for (const sort of ["slug", "name", "status", "changed"] satisfies ProjectOrder[]) {
      for (const descending of [false, true]) {
        const first = await quickly(projects.list({ sort, descending, limit: 30 }));
        const last = first.at(-1)!;
        const after = { key: last.key, slug: last.slug };
        const second = await quickly(projects.list({ sort, descending, limit: 30, after }));
        const both = await projects.list({ sort, descending, limit: 60 });
        assert.deepEqual(
          [...first, ...second].map(({ slug }) => slug),
          both.map(({ slug }) => slug),
          `${sort} ${descending}`,
        );
        assert.equal(new Set(both.map(({ slug }) => slug)).size, 60);
      }
    }
  });

  it("puts projects that need attention first, and the newest change first", async () => {
    const list = (sort: ProjectOrder, descending = false) =>
      projects.list({ sort, descending, limit: 3 });
    const statuses = (await list("status")).map(({ slug, status }) => [slug, status]);
    assert.deepEqual(statuses, [
      ["app-0100", "incomplete"],
      ["app-0200", "incomplete"],
      ["app-0300", "incomplete"],
    ]);
    const [newest] = await list("changed", true);
    assert.equal(newest?.status, "changing", "a change under way is the newest");
    assert.equal((await list("name"))[0]?.name, "Zebra 0");
  });

  it("is searched and filtered", async () => {
    const found = await quickly(projects.list({ search: "zebra 49", status: "ready", limit: 200 }));
    assert.ok(found.length > 50);
    assert.ok(found.every(({ name, status }) => name.startsWith("Zebra 49") && status === "ready"));
  });

  it("is filtered by labels", async () => {
    await test.admin(`
      UPDATE projects SET settings = '{"labels": {"team": "shop", "tier": "1"}}'
      WHERE slug IN ('app-0007', 'app-0008')`);
    const slugs = async (labels: Record<string, string>) =>
      (await quickly(projects.list({ labels, limit: 5 }))).map(({ slug }) => slug);
    assert.deepEqual(await slugs({ team: "shop" }), ["app-0007", "app-0008"]);
    assert.deepEqual(await slugs({ team: "shop", tier: "2" }), []);
  });

  it("has each project's drift, which a single project has as well", async () => {
    const since = "2026-01-02T03:04:05.678Z";
    await test.admin(`
      INSERT INTO drift (slug, checked_at, changes, fixable_by, error, operation) VALUES
        ('app-0001', '${since}', '[{"urn": "one", "since": "${since}"}]', 'updates', NULL, gen_random_uuid()),
        ('app-0002', '${since}', '[]', 'nothing', '{"message": "no", "since": "${since}"}', gen_random_uuid())`);
    const drift = await new DriftRecords(store).list({ platform: "staging", limit: 3 });
    assert.deepEqual(
      drift.map(({ state, checkedAt, since: first }) => [state, checkedAt, first]),
      [
        ["drifted", since, since],
        ["failed", since, undefined],
        ["unchecked", undefined, undefined],
      ],
    );
    const listed = await quickly(projects.list({ limit: 3 }));
    assert.deepEqual(
      listed.map(({ drift }) => drift),
      drift,
    );
    assert.deepEqual((await projects.find("app-0001"))?.drift, drift[0]);
  });

  it("tells each project's resources by their newest steps", async () => {
    const [id] = await test.admin(`
      SELECT id FROM operations WHERE slug = 'app-0100' ORDER BY id DESC`);
    const events = [
      ["resourceStarted", "urn:repo", "create"],
      ["resourceDone", "urn:repo", "create"],
      ["resourceStarted", "urn:cache", "create"],
      ["resourceFailed", "urn:cache", "create"],
    ].map(([event, urn, op]) => ({
      ...{ event, urn, op, type: "t", name: urn, component: false, durationMs: 1 },
    }));
    const diagnostic = { event: "diagnostic", severity: "error", urn: "urn:cache", message: "no" };
    for (const [index, event] of [...events, diagnostic].entries()) {
      await test.admin(`
        INSERT INTO operation_events (operation_id, number, at, event)
        VALUES ('${String(id?.["id"])}', ${index + 1}, now(), '${JSON.stringify(event)}')`);
    }
    const resources = await quickly(projects.resources("app-0100"));
    assert.deepEqual(
      resources.map(({ urn, state, error }) => [urn, state, error]),
      [
        ["urn:cache", "failed", "no"],
        ["urn:repo", "ok", undefined],
      ],
    );
    assert.deepEqual(await projects.resources("app-0001"), []);
  });
});
