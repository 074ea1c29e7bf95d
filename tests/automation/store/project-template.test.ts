import assert from "node:assert/strict";
import { recordOperation } from "../../../automation/operations/record-operation.ts";
import { migrate } from "../../../automation/store/migrate.ts";
import { ProjectRecords } from "../../../automation/store/project-records.ts";
import { Projects } from "../../../automation/store/projects.ts";
import { Store } from "../../../automation/store/store.ts";
import { NO_CHANGES, type Outcome } from "../../../core/operation.ts";
import type { TemplateSeedRecord } from "../../../core/template-update.ts";
import { newestVersions } from "../../../providers/git/template.ts";
import { embeddedStore } from "../../support/embedded-store.ts";
import { withVariables } from "../../support/variables.ts";

const OLD = "0123456789abcdef";

const SEED: TemplateSeedRecord = {
  template: "skeleton",
  repository: "rdev/shop",
  repositoryId: 7,
  version: OLD,
  values: { PROJECT_SLUG: "shop" },
};

describe("the template in a project's record", function () {
  this.timeout(60_000);
  let test: Awaited<ReturnType<typeof embeddedStore>>;
  let store: Store;
  let records: ProjectRecords;
  const newest = newestVersions()["skeleton"]!;

  before(async () => {
    test = await embeddedStore();
    await migrate(test);
    store = new Store({ url: test.url });
    records = new ProjectRecords(store);
  });
  after(async () => {
    await store.close();
    await test.close();
  });
  afterEach(() => test.admin("DELETE FROM projects"));

  async function ended(operation: "up" | "destroy", template?: TemplateSeedRecord, slug = "shop") {
    const outcome: Outcome = {
      result: "succeeded",
      changes: { ...NO_CHANGES, create: 1 },
      outputs: { name: slug },
      ...(template && { template }),
      durationMs: 1,
      errors: [],
    };
    const recording = { store, actor: "ada", stack: `staging.${slug}`, operation };
    const recorded = await withVariables({ CITADEL_ENABLED: "false" }, () =>
      recordOperation(recording, async () => outcome),
    );
    assert.deepEqual(recorded.errors, []);
  }
  const template = async () => (await records.find("shop"))?.template;
  const found = (is: "outdated" | "current") =>
    records.list({ limit: 10, template: is }).then((all) => all.map(({ slug }) => slug));

  it("is unknown until an up of this version has recorded it", async () => {
    await ended("up");
    assert.equal(await template(), undefined);
    assert.deepEqual([await found("outdated"), await found("current")], [[], []]);
    await ended("up", SEED);
    assert.deepEqual(await template(), { name: "skeleton", version: OLD, outdated: true });
    await ended("up"); // of the version before, during an upgrade
    assert.deepEqual(await template(), { name: "skeleton", version: OLD, outdated: true });
  });

  it("counts as outdated unless it has the newest version", async () => {
    const { version: _, ...unversioned } = SEED;
    await ended("up", SEED);
    await ended("up", { ...SEED, version: newest }, "fresh");
    await ended("up", unversioned, "seeded-before");
    await ended("up", { ...SEED, template: "removed", version: newest }, "without");
    assert.deepEqual(await found("outdated"), ["seeded-before", "shop", "without"]);
    assert.deepEqual(await found("current"), ["fresh"]);
  });

  it("is the one that the last update found, while the repository is the same", async () => {
    await ended("up", SEED);
    const pullRequest = { number: 3, url: "https://git.example.test/rdev/shop/pulls/3" };
    const update = { repositoryId: 7, version: newest, pullRequest };
    await new Projects(store).update("shop", { template: update });
    const now = { name: "skeleton", version: newest, outdated: false, pullRequest };
    assert.deepEqual(await template(), now);
    await ended("up", SEED);
    assert.deepEqual(await template(), now);
    await ended("up", { ...SEED, repositoryId: 8 });
    assert.deepEqual(await template(), { name: "skeleton", version: OLD, outdated: true });
  });

  it("is forgotten with a destroy that keeps the record", async () => {
    await ended("up", SEED);
    await ended("destroy");
    assert.equal((await records.find("shop"))?.status, "deleted");
    assert.equal(await template(), undefined);
  });
});
