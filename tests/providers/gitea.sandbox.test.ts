import assert from "node:assert/strict";
import { Gitea } from "../../providers/gitea/client.ts";
import { provider } from "../../providers/gitea/repository.ts";
import { sandboxPlatform } from "../../sandbox/platform.ts";
import { itMeetsFaults } from "../support/faults.ts";
import { type FaultyProxy, startFaultyProxy } from "../support/faulty-proxy.ts";
import { rejected } from "../support/errors.ts";
import { uniqueSlug } from "../support/unique-slug.ts";
import { testVariables, variable } from "../support/variables.ts";
import { markText } from "../../core/ownership.ts";
import { testOwner } from "../support/owner.ts";

describe("gitea:Repository", () => {
  const set = testVariables();
  let organization: string;
  let slug: string;
  let gitea: Gitea;
  const repository = () => gitea.repository(organization, slug);
  /** Checked inputs with defaults, like those from the engine. */
  const inputs = async (changes: object = {}) => {
    const args = {
      organization,
      name: slug,
      owner: testOwner(slug),
      description: "Mine",
      ...changes,
    };
    return (await provider.check(undefined, args)).inputs;
  };
  const byHand = (description = "not yours") =>
    gitea.createRepository(organization, slug, {
      description,
      private: false,
      default_branch: "main",
    });

  before(async () => {
    organization = (await sandboxPlatform()).gitOrganization;
  });
  beforeEach(() => {
    slug = uniqueSlug();
    gitea = new Gitea();
  });
  afterEach(() => gitea.deleteRepository(organization, slug));

  it("creates an empty, private repository with its mark", async () => {
    const { id, outs } = await provider.create(await inputs());
    assert.equal(id, `${organization}/${slug}`);
    const made = await repository();
    assert.equal(made?.description, `Mine (${markText(testOwner(slug))})`);
    assert.equal(made.private, true);
    assert.equal(made.empty, true);
    assert.equal(made.default_branch, "main");
    assert.equal(outs["repositoryId"], made.id);
    assert.equal(outs["cloneUrl"], made.clone_url);
    assert.deepEqual((await provider.read(id, outs)).props, outs);
  });

  it("adopts its own repository, and changes it to match the inputs", async () => {
    await provider.create(await inputs());
    await provider.create(await inputs({ description: "Still mine" }));
    assert.match((await repository())?.description ?? "", /^Still mine /);
  });

  it("refuses an object made by hand, and leaves it untouched", async () => {
    await byHand();
    await rejected(provider.create(await inputs()), /^RDEV_NOT_OURS: .*untouched/);
    assert.equal((await repository())?.description, "not yours");
  });

  it("refuses a repository of another project, even if that name begins with this one", async () => {
    await byHand(`(${markText(testOwner(`${slug}-2`))})`);
    await rejected(provider.create(await inputs()), /^RDEV_NOT_OURS: /);
  });

  it("changes other inputs in place, and keeps all outputs", async () => {
    const { id, outs } = await provider.create(await inputs());
    const news = await inputs({ description: "New words" });
    const diff = await provider.diff(id, outs, news);
    assert.equal(diff.changes, true);
    assert.deepEqual(diff.replaces, []);
    const updated = await provider.update(id, outs, news);
    assert.deepEqual(updated.outs, { ...outs, description: "New words" });
    assert.match((await repository())?.description ?? "", /^New words /);
  });

  it("is replaced when its name or organization changes", async () => {
    const olds = await inputs();
    for (const change of [{ name: "other" }, { organization: "other" }]) {
      const { replaces, deleteBeforeReplace } = await provider.diff(
        "x",
        olds,
        await inputs(change),
      );
      assert.deepEqual(replaces, Object.keys(change));
      assert.equal(deleteBeforeReplace, true);
    }
  });

  it("finds drift, and notices that the repository is gone", async () => {
    const { id, outs } = await provider.create(await inputs());
    await gitea.editRepository(organization, slug, { private: false });
    assert.equal((await provider.read(id, outs)).inputs?.["private"], false);
    await gitea.deleteRepository(organization, slug);
    assert.equal((await provider.read(id, outs)).id, "");
    await rejected(provider.update(id, outs, await inputs()), /^RDEV_GONE: .*refresh/);
  });

  it("deletes it, also twice", async () => {
    const { id, outs } = await provider.create(await inputs());
    await provider.delete(id, outs);
    assert.equal(await repository(), undefined);
    await provider.delete(id, outs);
  });

  it("archives a retained repository, and a later create restores it", async () => {
    const { id, outs } = await provider.create(await inputs({ retain: true }));
    await provider.delete(id, outs);
    assert.equal((await repository())?.archived, true);
    await provider.create(await inputs());
    assert.equal((await repository())?.archived, false);
  });

  it("deletes a repository by its number if its mark was removed", async () => {
    const { id, outs } = await provider.create(await inputs());
    await gitea.editRepository(organization, slug, { description: "taken over" });
    await provider.delete(id, outs);
    assert.equal(await repository(), undefined);
  });

  it("keeps a repository that another stack has marked since", async () => {
    const { id, outs } = await provider.create(await inputs());
    const other = { ...testOwner(slug), stack: "fedcba9876543210" };
    await gitea.editRepository(organization, slug, { description: `(${markText(other)})` });
    await provider.delete(id, outs);
    assert.notEqual(await repository(), undefined);
    await rejected(provider.update(id, outs, await inputs()), /^RDEV_NOT_OURS: /);
  });

  describe("with a state of an earlier version, which names only a project", () => {
    const stateBefore = async () => {
      const made = await byHand(`Mine (managed-by: rdev-infra, project: ${slug})`);
      const { owner: _, ...rest } = await inputs();
      const urls = { cloneUrl: made.clone_url, sshUrl: made.ssh_url, htmlUrl: made.html_url };
      return { ...rest, project: slug, repositoryId: made.id, ...urls };
    };
    const id = () => `${organization}/${slug}`;

    it("gets a new mark in the next update, and stays the same repository", async () => {
      const state = await stateBefore();
      const { outs } = await provider.update(id(), state, await inputs());
      assert.equal(outs["repositoryId"], state.repositoryId);
      assert.equal((await repository())?.description, `Mine (${markText(testOwner(slug))})`);
    });

    it("is found by a refresh, and can be deleted without an update", async () => {
      const state = await stateBefore();
      assert.equal((await provider.read(id(), state)).id, id());
      await provider.delete(id(), state);
      assert.equal(await repository(), undefined);
    });

    it("is left alone if another stack has adopted it first", async () => {
      const state = await stateBefore();
      const other = { ...testOwner(slug), platform: "prod" };
      await provider.update(id(), state, await inputs({ owner: other }));
      await rejected(provider.update(id(), state, await inputs()), /^RDEV_NOT_OURS: /);
      await provider.delete(id(), state);
      assert.equal((await repository())?.id, state.repositoryId);
    });
  });

  describe("when Gitea fails half way", () => {
    let proxy: FaultyProxy;
    beforeEach(async () => {
      proxy = await startFaultyProxy(variable("GITEA_URL"));
      set({ GITEA_URL: proxy.url });
    });
    afterEach(() => proxy.close());

    it("records what was created, and the next update finishes it", async () => {
      proxy.misbehave({ match: { method: "PUT", path: /topics/ }, status: 400, times: 1 });
      const error = await rejected(provider.create(await inputs()), /^RDEV_REFUSED: /);
      assert.equal(error.id, `${organization}/${slug}`);
      const { outs } = await provider.update(error.id, error.properties ?? {}, await inputs());
      assert.equal(outs["repositoryId"], (await repository())?.id);
    });

    it("does not send a create twice", async () => {
      proxy.misbehave({ match: { method: "POST" }, status: 502 });
      await rejected(provider.create(await inputs()), /^RDEV_UNREACHABLE: .*502/);
      assert.equal(proxy.requests.filter((line) => line.startsWith("POST ")).length, 1);
    });
  });

  itMeetsFaults({
    url: "GITEA_URL",
    credential: "GITEA_TOKEN",
    read: async () => provider.read("x", await inputs()),
  });
});
