import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { StackState } from "../../automation/engine/state.ts";
import { findLeftovers } from "../../automation/leftovers.ts";
import { markText, retainedMarkText } from "../../core/ownership.ts";
import { Gitea } from "../../providers/gitea/client.ts";
import { provider as repositories } from "../../providers/gitea/repository.ts";
import { Woodpecker } from "../../providers/woodpecker/client.ts";
import { provider as ciRepositories } from "../../providers/woodpecker/repository.ts";
import { provider as ciSecrets } from "../../providers/woodpecker/secret.ts";
import { asAdmin, type ForgeUser, forgeUser } from "../support/forge-user.ts";
import { testOwner } from "../support/owner.ts";
import { rejected } from "../support/errors.ts";
import { projects, succeeded } from "../support/stage.ts";
import { uniqueSlug } from "../support/unique-slug.ts";
import { testVariables, variable, withVariables } from "../support/variables.ts";

describe("an attack on the forge", function () {
  this.timeout(400_000);
  const set = testVariables();
  const organization = `t${randomBytes(5).toString("hex")}`;
  const gitea = () => new Gitea();
  let slug: string;
  /** A member of the organization who may create repositories in it. */
  let member: ForgeUser;

  const inputs = async (changes: object = {}) => {
    const args = { organization, name: slug, owner: testOwner(slug), ...changes };
    return (await repositories.check(undefined, args)).inputs;
  };
  const made = async (changes: object = {}) => repositories.create(await inputs(changes));
  const live = (name = slug) => gitea().repository(organization, name);
  const place = () => ({
    slug,
    owner: testOwner(slug),
    settings: {
      gitOrganization: organization,
      domain: "a.test",
      citadelOrganization: "o",
      registry: "r.test",
    },
  });
  /** The leftovers in Gitea and Woodpecker. */
  const remaining = async () =>
    (await findLeftovers(place())).filter(({ system }) => ["gitea", "woodpecker"].includes(system));
  const asMember = async (path: string, method: string, body: object) => {
    const token = await member.token("all");
    const answer = await fetch(`${variable("GITEA_URL")}/api/v1${path}`, {
      method,
      headers: { authorization: `token ${token}`, "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    assert.ok(answer.ok, `${answer.status} ${await answer.text()}`);
  };

  async function owningUser(): Promise<ForgeUser> {
    const owner = await forgeUser();
    const all = await asAdmin<{ id: number; permission: string }[]>(`/orgs/${organization}/teams`);
    const owners = all.find(({ permission }) => permission === "owner")?.id;
    await asAdmin(`/teams/${owners}/members/${owner.login}`, { method: "PUT", status: 204 });
    return owner;
  }
  const ownersToken = async () =>
    (await owningUser()).token("write:organization", "write:repository");

  before(async () => {
    await asAdmin("/orgs", { method: "POST", status: 201, body: { username: organization } });
    member = await forgeUser();
    const team = await asAdmin<{ id: number }>(`/orgs/${organization}/teams`, {
      method: "POST",
      status: 201,
      body: {
        name: "makers",
        permission: "write",
        can_create_org_repo: true,
        units_map: { "repo.code": "write" },
      },
    });
    const path = `/teams/${team.id}/members/${member.login}`;
    await asAdmin(path, { method: "PUT", status: 204 });
  });
  beforeEach(() => {
    slug = uniqueSlug();
  });
  after(async () => {
    const all = await asAdmin<{ full_name: string }[]>(`/orgs/${organization}/repos`);
    for (const { full_name: name } of all) {
      await asAdmin(`/repos/${name}`, { method: "DELETE", status: 204 });
    }
    await asAdmin(`/orgs/${organization}`, { method: "DELETE", status: 204 });
  });

  describe("by a member who copies a mark into their own repository", () => {
    const marks = {
      "this stack": markText,
      "a retained repository": retainedMarkText,
    };
    for (const [whose, textOf] of Object.entries(marks)) {
      it(`with the mark of ${whose} is refused, and the repository does not change`, async () => {
        const description = `mine (${textOf(testOwner(slug))})`;
        await asMember(`/orgs/${organization}/repos`, "POST", { name: slug, description });
        const before = await live();
        await rejected(made(), /^RDEV_NOT_OURS: .*does not show that an owner/);
        assert.equal(await repositories.find(await inputs()), undefined);
        await repositories.delete(`${organization}/${slug}`, await inputs());
        assert.deepEqual(await live(), before);
        assert.deepEqual(await remaining(), [
          { system: "gitea", what: `repository ${organization}/${slug}`, why: "not-ours" },
        ]);
      });
    }

    it("and hides their activity leaves the member no access", async () => {
      const owner = await ownersToken();
      await asMember("/user/settings", "PATCH", { hide_activity: true });
      try {
        const description = `(${markText(testOwner(slug))})`;
        await asMember(`/orgs/${organization}/repos`, "POST", { name: slug, description });
        const strangers = await live();
        set({ GITEA_TOKEN: owner });
        const { outs } = await made();
        assert.notEqual(outs["repositoryId"], strangers?.id);
        const path = `/repos/${organization}/${slug}/collaborators`;
        assert.deepEqual(await asAdmin(path), []);
      } finally {
        await asMember("/user/settings", "PATCH", { hide_activity: false });
      }
    });

    it("cannot replace a repository that was deleted by hand", async () => {
      const { id, outs } = await made();
      await gitea().deleteRepository(organization, slug);
      const description = `(${markText(testOwner(slug))})`;
      await asMember(`/orgs/${organization}/repos`, "POST", { name: slug, description });
      assert.equal((await repositories.read(id, outs)).id, "");
      await rejected(repositories.update(id, outs, await inputs()), /^RDEV_NOT_OURS: /);
      await repositories.delete(id, outs);
      assert.notEqual(await live(), undefined);
    });
  });

  describe("by a tenant who administers its project's repository", () => {
    /** Creates the project's repository and makes the member its administrator. */
    async function tenantsRepository() {
      const { id, outs } = await made();
      const path = `/repos/${organization}/${slug}/collaborators/${member.login}`;
      await asAdmin(path, { method: "PUT", status: 204, body: { permission: "admin" } });
      return { id, outs };
    }

    it("that removes the mark cannot prevent a delete, because the id decides", async () => {
      const { id, outs } = await tenantsRepository();
      await asMember(`/repos/${organization}/${slug}`, "PATCH", { description: "taken over" });
      await repositories.delete(id, outs);
      assert.equal(await live(), undefined);
      assert.deepEqual(await remaining(), []);
    });

    it("that renames it is reverted by the next up, and cannot prevent a delete", async () => {
      const { id, outs } = await tenantsRepository();
      const renamed = `${slug}-x`;
      await asMember(`/repos/${organization}/${slug}`, "PATCH", { name: renamed });
      assert.equal((await repositories.read(id, outs)).id, id);
      await repositories.update(id, outs, await inputs());
      assert.equal((await live())?.id, outs["repositoryId"]);

      await asMember(`/repos/${organization}/${slug}`, "PATCH", { name: renamed });
      await repositories.delete(id, outs);
      assert.equal(await live(renamed), undefined);
      assert.deepEqual(await remaining(), []);
    });

    it("that gives it another project's name and mark is refused by that project", async () => {
      await tenantsRepository();
      const own = slug;
      slug = uniqueSlug();
      const description = `(${markText(testOwner(slug))})`;
      await asMember(`/repos/${organization}/${own}`, "PATCH", { name: slug, description });
      await rejected(made(), /^RDEV_NOT_OURS: .*does not show that an owner/);
      await asMember(`/repos/${organization}/${slug}`, "PATCH", {
        description: `(${retainedMarkText(testOwner(slug))})`,
      });
      await rejected(made(), /^RDEV_NOT_OURS: .*the mark of a retained repository/);
    });

    it("that transfers it is reported; the repository is neither forgotten nor deleted", async () => {
      const { id, outs } = await tenantsRepository();
      // Only an owner can transfer it without the recipient's consent.
      const path = `/repos/${organization}/${slug}/transfer`;
      const body = { new_owner: "rdev-admin" };
      await asAdmin(path, { method: "POST", status: 202, body });
      try {
        const moved = `rdev-admin/${slug}`;
        await rejected(repositories.read(id, outs), new RegExp(`^RDEV_NOT_OURS: .*${moved}`));
        const updated = repositories.update(id, outs, await inputs());
        await rejected(updated, new RegExp(`^RDEV_NOT_OURS: .*${moved}`));
        await repositories.delete(id, outs);
        assert.notEqual(await gitea().repository("rdev-admin", slug), undefined);
        assert.deepEqual(await remaining(), [
          {
            system: "gitea",
            what: `repository ${moved}, before repository ${organization}/${slug}`,
            why: "not-ours",
          },
        ]);
      } finally {
        await asAdmin(`/repos/rdev-admin/${slug}`, { method: "DELETE", status: 204 });
      }
    });
  });

  describe("with a token without permissions", () => {
    it("neither forgets nor deletes a repository", async () => {
      const { id, outs } = await made();
      const stranger = await forgeUser();
      for (const token of [
        await stranger.token("all"),
        await member.token("write:organization", "write:repository"),
      ]) {
        set({ GITEA_TOKEN: token });
        for (const attempt of [
          () => repositories.read(id, outs),
          () => repositories.delete(id, outs),
          async () => repositories.find(await inputs()),
        ]) {
          await rejected(attempt(), /^RDEV_FORBIDDEN: .*nothing counts as gone/);
        }
        const [found] = await remaining();
        assert.equal(found?.why, "unreachable");
        assert.match(found.what, /RDEV_FORBIDDEN/);
      }
    });

    it("neither forgets nor deletes anything in Woodpecker", async () => {
      const { outs } = await made();
      const ci = await ciRepositories.create({
        fullName: `${organization}/${slug}`,
        forgeRemoteId: outs["repositoryId"],
      });
      const news = {
        repositoryId: ci.outs["repositoryId"],
        name: "kube_token",
        value: "planted-value",
        owner: testOwner(slug),
      };
      const secret = await ciSecrets.create((await ciSecrets.check({}, news)).inputs);
      const stranger = await forgeUser();
      set({ WOODPECKER_TOKEN: await stranger.woodpeckerToken() });
      for (const attempt of [
        () => ciRepositories.read(ci.id, ci.outs),
        () => ciRepositories.delete(ci.id, ci.outs),
        () => ciSecrets.read(secret.id, secret.outs),
        () => ciSecrets.delete(secret.id, secret.outs),
      ]) {
        await rejected(attempt(), /^RDEV_FORBIDDEN: .*nothing counts as gone/);
      }
      const found = (await remaining()).find(({ system }) => system === "woodpecker");
      assert.equal(found?.why, "unreachable");
      assert.match(found.what, /RDEV_FORBIDDEN/);
    });
  });

  it("is not needed: an owner's token with two scopes can create, adopt, retain and delete", async () => {
    const owner = await owningUser();
    set({
      GITEA_TOKEN: await owner.token("write:organization", "write:repository"),
      WOODPECKER_TOKEN: await owner.woodpeckerToken(),
    });
    await made();
    const { id, outs } = await made({ retain: true });
    await repositories.delete(id, outs);
    assert.equal((await live())?.archived, true);
    const later = { owner: { ...testOwner(slug), stack: "fedcba9876543210" } };
    const again = await made(later);
    assert.equal((await live())?.archived, false);
    assert.equal(again.outs["repositoryId"], outs["repositoryId"]);
    await repositories.delete(again.id, again.outs);
    assert.equal((await repositories.read(again.id, again.outs)).id, "");
    assert.deepEqual(await remaining(), []);
  });
});

describe("an operation with tokens that cannot see the forge", function () {
  this.timeout(300_000);
  const project = projects();

  it("fails with the reason, and neither forgets nor destroys anything", async () => {
    const one = await project();
    succeeded(await one.up());
    const { slug, place, workDir } = one;
    const before = await StackState.read(one.stack, workDir);
    const stranger = await forgeUser();
    const powerless = {
      GITEA_TOKEN: await stranger.token("all"),
      WOODPECKER_TOKEN: await stranger.woodpeckerToken(),
    };
    await withVariables(powerless, async () => {
      for (const run of [await one.refresh(), await one.destroy()]) {
        assert.equal(run.result, "failed");
        assert.ok(run.errors.some(({ code }) => code === "RDEV_FORBIDDEN"));
      }
    });
    const after = await StackState.read(one.stack, workDir);
    const isOnForge = (urn: string) => /gitea:|woodpecker:Repository/.test(urn);
    assert.deepEqual(after.objects.filter(isOnForge), before.objects.filter(isOnForge));
    assert.notEqual(await new Gitea().repository(place.organization, slug), undefined);
    const ci = new Woodpecker();
    const known = await ci.repository(`${place.organization}/${slug}`);
    assert.equal(known?.active, true);
    assert.notEqual(await ci.secret(known.id, "kube_token"), undefined);
    succeeded(await one.destroy());
    assert.deepEqual(await one.onServers(), []);
  });
});
