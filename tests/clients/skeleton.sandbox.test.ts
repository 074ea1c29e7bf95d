import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { cacheUsers } from "../support/cache-users.ts";
import { projectDatabases, urlOf } from "../support/project-databases.ts";
import { renderTemplate } from "../support/render-template.ts";

describe("the skeleton, with a project's database and cache", () => {
  const user = cacheUsers();
  const databases = projectDatabases();
  let folder: string;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "rdev-skeleton-"));
  });
  after(() => rm(folder, { recursive: true }));

  it("counts visits and caches a result", async function () {
    this.timeout(400_000);
    const [cache, { name }] = await Promise.all([user(), databases.make()]);
    renderTemplate("skeleton", cache.slug, folder);
    const env = { DATABASE_URL: urlOf(name, name), REDIS_URL: cache.url };
    const { stdout } = await execa("go", ["test", "-v", "./..."], { cwd: folder, env });
    assert.match(stdout, /--- PASS: TestHomeWithServers/);
    assert.doesNotMatch(stdout, /--- SKIP/);
  });
});
