import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { markOf, type Owner, ownerBefore } from "../../core/ownership.ts";
import { registryAccount } from "../../core/registry.ts";
import { Registry } from "../../providers/registry/client.ts";
import { markPath } from "../../providers/registry/mark.ts";
import { provider } from "../../providers/registry/repository.ts";
import { type BasicRegistry, startBasicRegistry } from "../support/basic-registry.ts";
import { itMeetsFaults } from "../support/faults.ts";
import { type FaultyProxy, startFaultyProxy } from "../support/faulty-proxy.ts";
import { testOwner } from "../support/owner.ts";
import { rejected } from "../support/errors.ts";
import { testVariables, variable } from "../support/variables.ts";

const IMAGE = "application/vnd.example.image";
const MARK = "rdev-infra";

describe("registry:Repository", () => {
  const set = testVariables();
  const run = randomBytes(4).toString("hex");
  let count = 0;
  let path: string;
  let prefix: string | undefined;
  let direct: Registry;
  let proxy: FaultyProxy;
  const owner = () => testOwner(path);
  const inputs = (changes: object = {}) => ({
    path,
    ...(prefix !== undefined && { prefix }),
    owner: owner(),
    ...changes,
  });
  const repository = () => (prefix === undefined ? path : `${prefix}/${path}`);
  /** Pushes an image like CI does. */
  const push = (tag: string, where = repository()) =>
    direct.pushEmpty(where, tag, IMAGE, { built: tag });
  const tags = async (where = repository()) => (await direct.tags(where)).sort();
  const mark = () => direct.annotations(markPath(repository()), MARK);
  const viaProxy = () => set({ REGISTRY_URL: proxy.url });

  beforeEach(async () => {
    path = `a${run}-${++count}`;
    prefix = undefined;
    direct = new Registry();
    proxy = await startFaultyProxy(variable("REGISTRY_URL"));
  });
  afterEach(async () => {
    await proxy.close();
    for (const one of [path, repository()]) {
      for (const where of [one, markPath(one)]) {
        for (const tag of await direct.tags(where)) {
          const digest = await direct.digest(where, tag);
          if (digest) await direct.deleteManifest(where, digest);
        }
      }
    }
  });

  /** Creates what an earlier version left: a mark among the images, and a state without an owner. */
  async function before(project = path) {
    await direct.pushEmpty(path, MARK, "application/vnd.rdev-infra.mark.v1", {
      "managed-by": "rdev-infra",
      project,
    });
    return { path, project };
  }

  it("creates a path with a mark where no pipeline can write", async () => {
    const { id, outs } = await provider.create(inputs());
    assert.equal(id, path);
    assert.deepEqual(outs, inputs());
    assert.deepEqual(await mark(), markOf(owner()));
    assert.equal(markPath(path), `rdev-infra/marks/${path}`);
    assert.deepEqual(await tags(), []);
    assert.deepEqual((await provider.read(id, outs)).props, inputs());
  });

  it("adopts its own path with the images that CI has pushed", async () => {
    await provider.create(inputs());
    await push("1");
    await provider.create(inputs());
    assert.deepEqual(await tags(), ["1"]);
  });

  it("refuses a path with somebody else's images, and leaves it untouched", async () => {
    await push("1");
    await rejected(provider.create(inputs()), /^RDEV_NOT_OURS: /);
    assert.deepEqual(await tags(), ["1"]);
  });

  it("refuses the path of another project, platform or stack", async () => {
    for (const other of [
      testOwner("neighbour"),
      { ...owner(), platform: "prod" },
      { ...owner(), stack: "f".repeat(16) },
    ]) {
      const { id, outs } = await provider.create(inputs({ owner: other }));
      await rejected(provider.create(inputs()), /^RDEV_NOT_OURS: /);
      await provider.delete(id, outs);
    }
  });

  it("ignores a mark that a pipeline can write", async () => {
    await direct.pushEmpty(path, MARK, "application/vnd.rdev-infra.mark.v1", markOf(owner()));
    await push("1");
    await rejected(provider.create(inputs()), /^RDEV_NOT_OURS: /);
    await provider.delete(path, inputs());
    assert.deepEqual(await tags(), ["1", MARK]);
  });

  it("notices that its path is gone", async () => {
    const { id, outs } = await provider.create(inputs());
    const digest = await direct.digest(markPath(path), MARK);
    await direct.deleteManifest(markPath(path), digest ?? "");
    assert.equal((await provider.read(id, outs)).id, "");
  });

  it("deletes everything that is tagged, also twice", async () => {
    const { id, outs } = await provider.create(inputs());
    for (const tag of ["1", "2", "latest"]) await push(tag);
    await provider.delete(id, outs);
    assert.deepEqual(await tags(), []);
    assert.equal(await mark(), undefined);
    await provider.delete(id, outs);
  });

  it("deletes nothing of another owner's path", async () => {
    await push("1");
    await provider.delete(path, inputs());
    assert.deepEqual(await tags(), ["1"]);
  });

  it("continues a delete that failed half way", async () => {
    const { id, outs } = await provider.create(inputs());
    for (const tag of ["1", "zz"]) await push(tag);
    const last = await direct.digest(path, "zz");
    viaProxy();
    proxy.misbehave({ match: { method: "DELETE", path: new RegExp(last ?? "") }, status: 500 });
    await rejected(provider.delete(id, outs), /^RDEV_UNREACHABLE: /);
    assert.ok(await mark());
    proxy.misbehave(undefined);
    await provider.delete(id, outs);
    assert.deepEqual(await tags(), []);
    assert.equal(await mark(), undefined);
  });

  it("finds the tags on every page", async () => {
    const { id, outs } = await provider.create(inputs());
    for (const tag of ["a", "b", "c"]) await push(tag);
    viaProxy();
    proxy.misbehave({
      match: { path: /tags\/list$/ },
      status: 200,
      headers: { link: `</v2/${path}/tags/list?last=a&n=2>; rel="next"` },
      body: JSON.stringify({ name: path, tags: ["a"] }),
      times: 1,
    });
    await provider.delete(id, outs);
    assert.deepEqual(await tags(), []);
  });

  it("reports a registry that does not allow deletes", async () => {
    const { id, outs } = await provider.create(inputs());
    viaProxy();
    proxy.misbehave({ match: { method: "DELETE" }, status: 405 });
    await rejected(provider.delete(id, outs), /^RDEV_REFUSED: .*storage\.delete\.enabled/);
    assert.ok(await mark());
  });

  it("finishes a create that failed half way on the next try", async () => {
    viaProxy();
    proxy.misbehave({ match: { method: "PUT", path: /manifests/ }, status: 500, times: 1 });
    await rejected(provider.create(inputs()), /^RDEV_UNREACHABLE: /);
    await provider.create(inputs());
    assert.ok(await mark());
  });

  it("does not retry the start of an upload that may have begun", async () => {
    // If another test has marked this path, its blob already exists.
    viaProxy();
    proxy.misbehave({ match: { method: "POST" }, reset: true, times: 1 });
    await rejected(provider.create(inputs()), /^RDEV_UNREACHABLE: /);
    assert.equal(proxy.requests.filter((text) => text.startsWith("POST")).length, 1);
  });

  describe("with a parent path in the registry", () => {
    beforeEach(() => void (prefix = `team-${run}`));

    it("marks, finds and deletes the path of the images", async () => {
      const { id, outs } = await provider.create(inputs());
      await push("1");
      assert.deepEqual(await direct.annotations(markPath(`${prefix}/${path}`), MARK), {
        ...markOf(owner()),
      });
      assert.equal((await provider.read(id, outs)).id, path);
      await provider.delete(id, outs);
      assert.deepEqual([await tags(), await mark()], [[], undefined]);
    });

    it("refuses somebody else's images there, and keeps neighbouring paths", async () => {
      await push("theirs", path);
      await push("1");
      await rejected(provider.create(inputs()), /^RDEV_NOT_OURS: /);
      await provider.delete(path, inputs());
      assert.deepEqual([await tags(), await tags(path)], [["1"], ["theirs"]]);
    });

    it("adopts a path that an earlier version marked elsewhere, with its images", async () => {
      const state = await before();
      await push("1");
      const { outs } = await provider.update(path, state, inputs());
      assert.deepEqual(await mark(), markOf(owner()));
      assert.deepEqual([await tags(), await tags(path)], [["1"], []]);
      await provider.delete(path, outs);
      assert.deepEqual([await tags(), await mark()], [[], undefined]);
    });

    it("refuses to move to another path, which would leave images behind", async () => {
      const { outs } = await provider.create(inputs());
      for (const moved of [inputs({ prefix: "crew" }), inputs({ prefix: undefined })]) {
        const { failures } = await provider.check(outs, moved);
        assert.deepEqual(
          failures.map(({ property }) => property),
          ["prefix"],
        );
        assert.match(failures[0]?.reason ?? "", new RegExp(`from ${prefix}/${path} to`));
      }
    });
  });

  describe("with a mark of an earlier version", () => {
    it("is read as an old mark until the next up replaces it", async () => {
      const state = await before();
      await push("1");
      assert.equal((await provider.read(path, state)).id, path);
      await provider.update(path, state, inputs());
      assert.deepEqual(await mark(), markOf(owner()));
      assert.deepEqual(await tags(), ["1"]);
      await provider.update(path, inputs(), inputs());
    });

    it("keeps the old mark if the registry allows no deletes, and succeeds", async () => {
      const state = await before();
      viaProxy();
      proxy.misbehave({ match: { method: "DELETE" }, status: 405 });
      await provider.update(path, state, inputs());
      assert.deepEqual(await mark(), markOf(owner()));
      assert.deepEqual(await tags(), [MARK]);
    });

    it("is deleted by a destroy without an up before it", async () => {
      const state = await before();
      await push("1");
      await provider.delete(path, state);
      assert.deepEqual(await tags(), []);
    });

    it("is refused for a stack whose state does not know it, and for another project", async () => {
      await before();
      await rejected(provider.create(inputs()), /^RDEV_NOT_OURS: .*earlier version/);
      const other = { path, project: "neighbour" };
      await rejected(provider.update(path, other, inputs()), /^RDEV_NOT_OURS: /);
      assert.equal(await mark(), undefined);
      assert.deepEqual(await tags(), [MARK]);
    });

    it("does not count if there is the mark of another stack", async () => {
      const state = await before();
      const theirs: Owner = { platform: "prod", project: path, stack: "f".repeat(16) };
      await direct.pushEmpty(markPath(path), MARK, IMAGE, markOf(theirs));
      await rejected(provider.update(path, state, inputs()), /^RDEV_NOT_OURS: /);
      await provider.delete(path, { ...state, owner: ownerBefore(path) });
      assert.deepEqual(await mark(), markOf(theirs));
      assert.deepEqual(await tags(), [MARK]);
    });
  });

  describe("with an account that may not see the mark", () => {
    const asPodsDo = () => {
      const name = { platform: "staging", slug: path, kind: "pull" as const, version: 1 };
      const account = registryAccount(variable("REGISTRY_TOKEN_SECRET"), name);
      set({ REGISTRY_USERNAME: account.username, REGISTRY_PASSWORD: account.password });
    };

    it("does not count the path as gone and deletes nothing: RDEV_FORBIDDEN", async () => {
      const { id, outs } = await provider.create(inputs());
      await push("1");
      asPodsDo();
      const forbidden = /^RDEV_FORBIDDEN: The registry does not let REGISTRY_USERNAME/;
      await rejected(provider.read(id, outs), forbidden);
      await rejected(provider.delete(id, outs), forbidden);
      await rejected(provider.find(outs), forbidden);
      assert.deepEqual(await tags(), ["1"]);
      assert.ok(await mark());
    });

    it("does not count 404 as gone if the registry hides paths from the account", async () => {
      const { id, outs } = await provider.create(inputs());
      viaProxy();
      proxy.misbehave({ match: { path: /^\/v2\/.+/ }, status: 404, body: "{}" });
      await rejected(provider.read(id, outs), /^RDEV_FORBIDDEN: .*push to rdev-infra\/marks/);
      await rejected(provider.delete(id, outs), /^RDEV_FORBIDDEN: /);
    });
  });

  describe("with the project's own accounts", () => {
    it("proves that the project's pipeline can push", async () => {
      await provider.create(inputs({ accountVersion: 1 }));
    });

    it("keeps them if the secret is missing, unless the platform's setting says otherwise", async () => {
      const last = inputs({ accountVersion: 1 });
      const { failures } = await provider.check(last, inputs());
      assert.match(failures[0]?.reason ?? "", /REGISTRY_TOKEN_SECRET.*is not set/);
      assert.deepEqual((await provider.check(last, inputs({ accountVersion: 0 }))).failures, []);
      assert.deepEqual((await provider.check(inputs(), last)).failures, []);
    });

    it("reports a token service that derives accounts from another secret", async () => {
      set({ REGISTRY_TOKEN_SECRET: "another-secret-of-thirty-two-characters" });
      const { message, id } = await rejected(
        provider.create(inputs({ accountVersion: 1 })),
        /^RDEV_UNAUTHORIZED: The registry's token service refused the project's account staging\./,
      );
      assert.match(message, /REGISTRY_TOKEN_SECRET/);
      assert.equal(id, path, "what was made is kept, and finished by the next up");
    });

    it("reports a registry that uses no tokens", async () => {
      const basic = await startBasicRegistry();
      try {
        await useBasic(basic);
        await rejected(
          provider.create(inputs({ accountVersion: 1 })),
          /^RDEV_REFUSED: .*does not ask for tokens.*rdev:registryAccounts to shared/,
        );
      } finally {
        await basic.stop();
      }
    });
  });

  it("works with a registry that uses no tokens, as with earlier versions", async () => {
    const basic = await startBasicRegistry();
    try {
      await useBasic(basic);
      const { id, outs } = await provider.create(inputs());
      await new Registry().pushEmpty(path, "1", IMAGE, {});
      assert.equal((await provider.read(id, outs)).id, path);
      await provider.delete(id, outs);
      assert.deepEqual(await new Registry().tags(path), []);
      await basic.setAccount("admin", "rotated");
      await rejected(provider.read(id, outs), /^RDEV_UNAUTHORIZED: .*REGISTRY_PASSWORD/);
    } finally {
      await basic.stop();
    }
  });

  async function useBasic(basic: BasicRegistry) {
    const account = { REGISTRY_USERNAME: "admin", REGISTRY_PASSWORD: "admin-of-the-tests" };
    await basic.setAccount(account.REGISTRY_USERNAME, account.REGISTRY_PASSWORD);
    set({ REGISTRY_URL: basic.url, ...account });
  }

  itMeetsFaults({
    url: "REGISTRY_URL",
    credential: "REGISTRY_PASSWORD",
    read: () => provider.read(path, inputs()),
  });
});
