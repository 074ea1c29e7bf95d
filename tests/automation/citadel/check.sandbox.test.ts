import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import {
  checkCitadel,
  deleteOrphan,
  type Finding,
  repairIds,
} from "../../../automation/citadel/check.ts";
import { Projects } from "../../../automation/store/projects.ts";
import { InfraError } from "../../../core/errors.ts";
import { parseStackName } from "../../../core/stack-name.ts";
import { markOf } from "../../../core/ownership.ts";
import { assertSees, Citadel } from "../../../providers/citadel/client.ts";
import { type Citadel as StandIn, startCitadel } from "../../../sandbox/citadel/server.ts";
import { rejected } from "../../support/errors.ts";
import { createTestStore, type TestStore } from "../../support/test-store.ts";
import { runCli } from "../../cli/run-cli.ts";
import { testOwner } from "../../support/owner.ts";

describe("the Citadel check", () => {
  let test: TestStore;
  let standIn: StandIn;
  let citadel: Citadel;
  let projects: Projects;

  beforeEach(async () => {
    test = await createTestStore();
    standIn = await startCitadel({ organization: "orchard9" });
    citadel = new Citadel({ url: standIn.url, apiKey: standIn.apiKey });
    projects = new Projects(test.store);
  });
  afterEach(async () => {
    await standIn.close();
    await test.drop();
  });

  async function environment(
    slug: string,
    metadata = { ...markOf(testOwner(slug)) },
  ): Promise<string> {
    const made = { slug, name: slug, organization: "orchard9", metadata };
    return (await citadel.environments.create(made)).id;
  }

  async function project(slug: string, citadelTenantId: string | null): Promise<void> {
    await projects.put({ slug, platform: "staging", name: slug, citadelTenantId });
  }

  const noStacks = () => Promise.resolve([]);
  const check = () => checkCitadel({ citadel, projects, stacks: noStacks });
  const repair = (findings: Finding[], client = citadel) =>
    repairIds(projects, findings, () =>
      assertSees(client, { organization: "orchard9", group: "projects" }),
    );

  it("finds nothing if both agree, and ignores foreign environments and the platform's", async () => {
    await project("shop", await environment("shop"));
    await environment("rdev-platform", { ...markOf(testOwner("staging")) });
    await citadel.environments.create({
      slug: "by-hand",
      name: "by hand",
      organization: "orchard9",
      metadata: {},
    });
    assert.deepEqual(await check(), []);
  });

  it("finds differences, and corrects the stored ids", async () => {
    const orphan = await environment("old");
    const blog = await environment("blog");
    const shop = await environment("shop");
    const [gone, other] = [randomUUID(), randomUUID()];
    await project("blog", null);
    await project("shop", other);
    await project("gone", gone);
    await project("new", null);
    const findings = await check();
    assert.deepEqual(findings, [
      { kind: "unlinked", slug: "blog", tenantId: blog, stored: null },
      { kind: "missing", slug: "gone", stored: gone },
      { kind: "missing", slug: "new", stored: null },
      { kind: "orphan", slug: "old", tenantId: orphan },
      { kind: "unlinked", slug: "shop", tenantId: shop, stored: other },
    ]);
    assert.deepEqual(
      (await repair(findings)).map(({ slug }) => slug),
      ["blog", "gone", "shop"],
    );
    assert.equal((await projects.find("blog"))?.citadelTenantId, blog);
    assert.equal((await projects.find("gone"))?.citadelTenantId, null);
    assert.deepEqual(
      (await check()).map(({ kind, slug }) => [kind, slug]),
      [
        ["missing", "gone"],
        ["missing", "new"],
        ["orphan", "old"],
      ],
    );
    assert.equal((await citadel.environments.get(orphan))?.slug, "old");
  });

  it("removes no stored id if the key belongs to another organization", async () => {
    const stored = randomUUID();
    await project("shop", stored);
    const elsewhere = await startCitadel({ organization: "acme" });
    try {
      const client = new Citadel({ url: elsewhere.url, apiKey: elsewhere.apiKey });
      const findings = await checkCitadel({ citadel: client, projects, stacks: noStacks });
      assert.deepEqual(findings, [{ kind: "missing", slug: "shop", stored }]);
      await rejected(repair(findings, client), /no environment of the organization orchard9/);
      assert.equal((await projects.find("shop"))?.citadelTenantId, stored);
    } finally {
      await elsewhere.close();
    }
  });

  it("deletes only the named orphan", async () => {
    const shop = await environment("shop");
    const old = await environment("old");
    await project("shop", shop);
    await deleteOrphan({ citadel, projects, stacks: noStacks }, "old");
    assert.equal(await citadel.environments.get(old), undefined);
    for (const slug of ["shop", "nothing"]) {
      const error = await rejected(
        deleteOrphan({ citadel, projects, stacks: noStacks }, slug),
        /not an orphan/,
      );
      assert.equal(error.name, "RDEV_NOT_OURS");
    }
    assert.ok(await citadel.environments.get(shop));
  });

  it("reports no orphan if a stack owns the environment, or if the backend is unreachable", async () => {
    const tenantId = await environment("shop");
    const found = [{ stack: "staging.shop", name: parseStackName("staging.shop") }];
    const options = { citadel, projects, stacks: () => Promise.resolve(found) };
    assert.deepEqual(await checkCitadel(options), [
      { kind: "unrecorded", slug: "shop", tenantId, stack: "staging.shop" },
    ]);
    await rejected(deleteOrphan(options, "shop"), /not an orphan/);
    const down = () => Promise.reject(new InfraError("RDEV_UNREACHABLE", "The state's backend"));
    await rejected(deleteOrphan({ ...options, stacks: down }, "shop"), /The state's backend/);
    assert.ok(await citadel.environments.get(tenantId));
  });

  it("is a command that changes nothing by default", async () => {
    const blog = await environment("blog");
    await environment("old");
    await project("blog", null);
    const variables = {
      DATABASE_URL: test.url,
      CITADEL_URL: standIn.url,
      CITADEL_API_KEY: standIn.apiKey,
    };
    const run = (...args: string[]) => runCli(["citadel", "check", ...args], { variables });
    const first = await run();
    assert.equal(first.code, 1, first.stderr);
    assert.match(first.stdout, /^blog: its environment is .*stored is none\.\nold: environment/);
    assert.equal((await projects.find("blog"))?.citadelTenantId, null);
    const mended = await run("--mend", "--json");
    assert.equal(mended.code, 1);
    assert.deepEqual(
      mended.stdout
        .trim()
        .split("\n")
        .map((line) => (JSON.parse(line) as { mended: boolean }).mended),
      [true, false],
    );
    assert.equal((await projects.find("blog"))?.citadelTenantId, blog);
    const last = await run("--delete-orphan", "old");
    assert.deepEqual([last.code, last.stdout], [0, "Citadel and the projects agree.\n"]);
  });
});
