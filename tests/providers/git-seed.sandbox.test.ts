import assert from "node:assert/strict";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { TEMPLATE_VARIABLES } from "../../core/template.ts";
import { baseRef, seededVersion, TEMPLATE_RECORD } from "../../core/template-update.ts";
import { seed } from "../../providers/git/seed.ts";
import { Gitea, type GiteaRepository } from "../../providers/gitea/client.ts";
import { sandboxPlatform } from "../../sandbox/platform.ts";
import { rejected } from "../support/errors.ts";
import { uniqueSlug } from "../support/unique-slug.ts";
import { variable } from "../support/variables.ts";

describe("seeding a repository", () => {
  let organization: string;
  let slug: string;
  let repository: GiteaRepository;
  let folder: string;
  const gitea = () => new Gitea();
  const environment = (changes: Record<string, string> = {}) => ({
    ...process.env,
    SEED_TEMPLATE: "skeleton",
    SEED_REPOSITORY: repository.full_name,
    SEED_CLONE_URL: repository.clone_url,
    SEED_BRANCH: "main",
    SEED_VALUES: JSON.stringify({
      ...Object.fromEntries(Object.keys(TEMPLATE_VARIABLES).map((name) => [name, `<${name}>`])),
      PROJECT_SLUG: slug,
    }),
    ...changes,
  });
  const clone = async () => {
    const env = {
      GIT_CONFIG_COUNT: "1",
      GIT_CONFIG_KEY_0: "http.extraHeader",
      GIT_CONFIG_VALUE_0: `Authorization: token ${variable("GITEA_TOKEN")}`,
    };
    await execa("git", ["clone", "--quiet", repository.clone_url, folder], { env });
    const git = (...args: string[]) => execa("git", args, { cwd: folder, env });
    return { git, files: (await git("ls-files")).stdout.split("\n") };
  };

  before(async () => {
    organization = (await sandboxPlatform()).gitOrganization;
  });
  beforeEach(async () => {
    slug = uniqueSlug();
    folder = await mkdtemp(join(tmpdir(), "rdev-test-"));
    repository = await gitea().createRepository(organization, slug, {
      description: "",
      private: true,
      default_branch: "main",
    });
  });
  afterEach(async () => {
    await rm(folder, { recursive: true });
    await gitea().deleteRepository(organization, slug);
  });

  it("pushes one commit with the rendered template", async () => {
    assert.match(await seed(environment()), /^Seeded \d+ files/);
    const { git, files } = await clone();
    assert.ok(files.includes(".woodpecker.yml") && files.includes("k8s/deployment.yaml"));
    assert.equal((await git("rev-list", "--count", "HEAD")).stdout, "1");
    const { stdout: left } = await git("grep", "-c", "{{[A-Z_]*}}").catch(() => ({ stdout: "" }));
    assert.equal(left, "");
    assert.match(
      (await git("show", "HEAD:k8s/deployment.yaml")).stdout,
      new RegExp(`name: ${slug}`),
    );
  });

  it("records the template's version, and keeps the commit as the base of updates", async () => {
    const version = seededVersion(await seed(environment()));
    const { git } = await clone();
    const { stdout: record } = await git("show", `HEAD:${TEMPLATE_RECORD}`);
    assert.deepEqual(JSON.parse(record), { template: "skeleton", version });
    const { stdout: refs } = await git("ls-remote", "origin", "refs/rdev/*");
    const { stdout: head } = await git("rev-parse", "HEAD");
    assert.equal(refs, `${head}\t${baseRef(version ?? "")}`);
  });

  it("returns only after Gitea has processed the push", async () => {
    await seed(environment());
    assert.equal((await gitea().repository(organization, slug))?.empty, false);
  });

  it("does not change a repository with commits", async () => {
    await seed(environment());
    const again = await seed(environment({ SEED_TEMPLATE: "skeleton" }));
    assert.equal(again, "The repository has commits: not seeded.");
    assert.equal((await (await clone()).git("rev-list", "--count", "HEAD")).stdout, "1");
  });

  it("leaves no file behind, even if it fails", async () => {
    const seeds = async () =>
      (await readdir(tmpdir())).filter((name) => name.startsWith("rdev-seed-"));
    const before = await seeds();
    await seed(environment());
    await rejected(
      seed(environment({ SEED_CLONE_URL: "http://127.0.0.1:1/x.git" })),
      /git ls-remote/,
    );
    assert.deepEqual(await seeds(), before);
  });

  it("reports a wrong token without showing it", async () => {
    const token = "planted-wrong-token";
    const error = await rejected(seed(environment({ GITEA_TOKEN: token })), /git ls-remote/);
    assert.equal(error.name, "RDEV_UNAUTHORIZED");
    assert.ok(!error.message.includes(token));
  });

  it("refuses a missing template before it does anything", async () => {
    await rejected(seed(environment({ SEED_TEMPLATE: "nothing" })), /"nothing"/);
    assert.equal((await gitea().repository(organization, slug))?.empty, true);
  });
});
