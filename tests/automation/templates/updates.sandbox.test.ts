import assert from "node:assert/strict";
import { cp, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { auditPage } from "../../../automation/audit/queries.ts";
import { ProjectRecords } from "../../../automation/store/project-records.ts";
import { Projects } from "../../../automation/store/projects.ts";
import { TemplateUpdates } from "../../../automation/templates/updates.ts";
import { InfraError } from "../../../core/errors.ts";
import { TEMPLATE_VARIABLES } from "../../../core/template.ts";
import { seededVersion, UPDATE_BRANCH } from "../../../core/template-update.ts";
import { seed } from "../../../providers/git/seed.ts";
import { newestVersions } from "../../../providers/git/template.ts";
import { Gitea, type GiteaRepository } from "../../../providers/gitea/client.ts";
import { sandboxPlatform } from "../../../sandbox/platform.ts";
import { rejected } from "../../support/errors.ts";
import { startFaultyProxy } from "../../support/faulty-proxy.ts";
import { adminToken, GiteaPeople, type Person } from "../../support/gitea-people.ts";
import { createTestStore, type TestStore } from "../../support/test-store.ts";
import { uniqueSlug } from "../../support/unique-slug.ts";
import { variable, withVariables } from "../../support/variables.ts";

const TEMPLATES = new URL("../../../templates", import.meta.url);

const isBusy = (error: unknown) => error instanceof InfraError && error.code === "RDEV_BUSY";

interface Content {
  readonly content: string;
  readonly sha: string;
}

interface Pull {
  readonly number: number;
  readonly state: string;
  readonly title: string;
  readonly body: string;
  readonly base: { readonly ref: string };
}

describe("updates of templates", function () {
  this.timeout(120_000);
  const people = new GiteaPeople();
  let account: Person;
  let reader: Person;
  let organization: string;
  let test: TestStore;
  let templates: string;
  let slug: string;
  let repository: GiteaRepository;
  const gitea = () => new Gitea();

  before(async () => {
    organization = (await sandboxPlatform()).gitOrganization;
    account = await people.add("templates", "write:repository");
    reader = await people.add("reader", "read:repository");
  });
  after(() => people.remove());

  beforeEach(async () => {
    test = await createTestStore();
    templates = await mkdtemp(join(tmpdir(), "rdev-test-"));
    await cp(TEMPLATES, templates, { recursive: true });
    slug = uniqueSlug();
    repository = await gitea().createRepository(organization, slug, {
      description: "",
      private: true,
      default_branch: "main",
    });
    for (const { name } of [account, reader]) {
      await api("PUT", `/collaborators/${name}`, { permission: "write" });
    }
    const values = {
      ...Object.fromEntries(Object.keys(TEMPLATE_VARIABLES).map((name) => [name, `<${name}>`])),
      PROJECT_SLUG: slug,
    };
    const report = await seed({
      ...process.env,
      SEED_TEMPLATE: "skeleton",
      SEED_REPOSITORY: repository.full_name,
      SEED_CLONE_URL: repository.clone_url,
      SEED_BRANCH: "main",
      SEED_VALUES: JSON.stringify(values),
    });
    const projects = new Projects(test.store);
    await projects.put({ slug, platform: "staging", name: slug, citadelTenantId: null });
    await projects.update(slug, {
      templateSeed: {
        template: "skeleton",
        repository: repository.full_name,
        repositoryId: repository.id,
        version: seededVersion(report),
        values,
      },
    });
  });
  afterEach(async () => {
    await gitea().deleteRepository(organization, slug);
    await rm(templates, { recursive: true });
    await test.drop();
  });

  const api = <T>(method: string, path: string, json?: object, token = adminToken()) =>
    GiteaPeople.ok<T>(method, `/repos/${organization}/${slug}${path}`, token, json);
  const read = async (path: string, branch = UPDATE_BRANCH) => {
    const { content } = await api<Content>("GET", `/contents/${path}?ref=${branch}`);
    return Buffer.from(content, "base64").toString();
  };
  /** Commits a file as a person of the project does. */
  const commit = async (path: string, text: string, branch = "main") => {
    const { sha } = await api<Content>("GET", `/contents/${path}?ref=${branch}`);
    const content = Buffer.from(text).toString("base64");
    await api("PUT", `/contents/${path}`, { branch, content, sha, message: "by hand" });
  };
  const change = (path: string, text: string) =>
    writeFile(join(templates, "skeleton", path), text);
  const pulls = () => api<Pull[]>("GET", "/pulls?state=all");
  const branches = async () => {
    const found = await api<{ name: string }[]>("GET", "/branches");
    return found.map(({ name }) => name).sort();
  };
  const update = (options: { dryRun?: boolean; token?: string } = {}) => {
    const { dryRun = false, token = account.token } = options;
    const updates = new TemplateUpdates(test.store, { templates });
    return withVariables({ GITEA_TEMPLATE_TOKEN: token }, () =>
      updates.update(slug, { actor: "ada", dryRun }),
    );
  };
  const recorded = async () => (await new ProjectRecords(test.store).find(slug))?.template;

  it("are proposed by an account that may only write the repository, until they are merged", async () => {
    const seeded = newestVersions()["skeleton"];
    const first = await update();
    assert.deepEqual([first.result, first.version, first.newest], ["current", seeded, seeded]);

    await change("README.md", "# {{PROJECT_SLUG}} by the template\n");
    await change("new.txt", "{{HOST}}\n");
    await commit("README.md", "# By the project\n");
    const { result, conflicts, files } = await update({ dryRun: true });
    assert.deepEqual([result, conflicts.length], ["opened", 1]);
    assert.deepEqual(files, [".rdev-template.json", "README.md", "new.txt"]);
    assert.deepEqual([await branches(), await pulls()], [["main"], []]);

    const opened = await update();
    assert.equal(opened.result, "opened");
    const [pull, ...more] = await pulls();
    assert.ok(pull && more.length === 0);
    assert.equal(opened.pullRequest?.number, pull.number);
    assert.equal(pull.base.ref, "main");
    assert.match(pull.title, new RegExp(opened.newest));
    assert.match(pull.body, /1 conflict: resolve them[^]*Merge conflict in README/);
    assert.equal(await read("new.txt"), "<HOST>\n");
    assert.equal(
      await read("README.md"),
      `<<<<<<< project\n# By the project\n=======\n# ${slug} by the template\n>>>>>>> template\n`,
    );
    assert.equal(await read("README.md", "main"), "# By the project\n");
    assert.deepEqual(await recorded(), {
      name: "skeleton",
      version: seeded,
      outdated: false, // the service has the template of this package
      pullRequest: opened.pullRequest,
    });
    assert.equal((await update()).result, "unchanged");

    await commit("README.md", "# By both\n", UPDATE_BRANCH);
    await change("new.txt", "{{HOST}} again\n");
    const changed = await update();
    assert.deepEqual([changed.result, changed.conflicts], ["updated", []]);
    assert.deepEqual(changed.pullRequest, opened.pullRequest);
    assert.equal(await read("README.md"), "# By both\n");
    assert.equal(await read("new.txt"), "<HOST> again\n");
    assert.match((await pulls())[0]?.title ?? "", new RegExp(changed.newest));

    const merge = { Do: "squash", delete_branch_after_merge: true };
    await GiteaPeople.merge(`/repos/${organization}/${slug}`, pull.number, adminToken(), merge);
    const merged = await update();
    assert.deepEqual([merged.result, merged.version], ["current", changed.newest]);
    assert.equal((await recorded())?.outdated, true);
    assert.equal((await recorded())?.pullRequest, undefined);

    const events = await auditPage(test.store, { limit: 100, projects: [slug] });
    const results = events.map(({ action, actor, result: end, details }) => {
      assert.deepEqual([action, actor], ["project.template-update", "ada"]);
      return end === "started" ? end : details["result"];
    });
    const each = ["current", "opened", "unchanged", "updated", "current"];
    assert.deepEqual(results.reverse(), each.flatMap((name) => ["started", name]));
  });

  it("continue after an interruption between the push and the pull request, one at a time", async () => {
    await change("new.txt", "new\n");
    const proxy = await startFaultyProxy(variable("GITEA_URL"));
    try {
      proxy.decide((request) => (/^POST .*\/pulls$/.test(request) ? "reset" : undefined));
      await withVariables({ GITEA_URL: proxy.url }, () => rejected(update(), /cannot be reached/));
    } finally {
      await proxy.close();
    }
    const tip = async () =>
      (await api<{ commit: { id: string } }>("GET", `/branches/${UPDATE_BRANCH}`)).commit.id;
    const pushed = await tip();
    assert.deepEqual(await pulls(), []);
    const both = await Promise.allSettled([update(), update()]);
    const [done] = both.flatMap((each) => (each.status === "fulfilled" ? [each.value] : []));
    assert.equal(done?.result, "opened");
    assert.ok(both.some((each) => each.status === "rejected" && isBusy(each.reason)));
    assert.equal(await tip(), pushed);

    await api("PATCH", `/pulls/${done.pullRequest?.number}`, { state: "closed" });
    const again = await update();
    assert.equal(again.result, "opened");
    assert.notEqual(again.pullRequest?.number, done.pullRequest?.number);
  });

  it("say why a repository does not take them, and change nothing there", async () => {
    await change("new.txt", "new\n");
    const refused = async (name: string, why: RegExp, token?: string) => {
      const error = await rejected(update({ ...(token !== undefined && { token }) }), why);
      assert.equal(error.name, name);
      assert.ok(!error.message.includes(account.token));
    };
    await refused("RDEV_UNAUTHORIZED", /403/, reader.token);
    const stranger = await people.add("stranger", "write:repository");
    await refused("RDEV_GONE", /GITEA_TEMPLATE_TOKEN may not see it/, stranger.token);
    await refused("RDEV_UNAUTHORIZED", /refused GITEA_TEMPLATE_TOKEN/, "a-wrong-token");

    const rule = { rule_name: "**", enable_push: false };
    await api("POST", "/branch_protections", rule);
    await refused("RDEV_TEMPLATE_MERGE", /protects it, permit the account of GITEA_TEMPLATE_TOKEN/);
    await api("DELETE", `/branch_protections/${encodeURIComponent("**")}`);

    await gitea().editRepository(organization, slug, { archived: true });
    await refused("RDEV_TEMPLATE_MERGE", /is archived/);
    await gitea().editRepository(organization, slug, { archived: false });
    assert.deepEqual([await branches(), await pulls()], [["main"], []]);

    await gitea().deleteRepository(organization, slug);
    await refused("RDEV_GONE", /is gone/);
  });
});
