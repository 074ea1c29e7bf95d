import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { Registry } from "../../providers/registry/client.ts";
import { provider } from "../../providers/registry/repository.ts";
import { itMeetsFaults } from "../support/faults.ts";
import { type FaultyProxy, startFaultyProxy } from "../support/faulty-proxy.ts";
import { rejected } from "../support/rejected.ts";
import { testVariables, variable } from "../support/variables.ts";
import { testOwner } from "../support/owner.ts";

describe("registry:Repository", () => {
  const set = testVariables();
  const run = randomBytes(4).toString("hex");
  let count = 0;
  let path: string;
  let direct: Registry;
  let proxy: FaultyProxy;
  const inputs = (changes: object = {}) => ({ path, owner: testOwner("my-app"), ...changes });
  /** An image, as CI would push one. */
  const push = (tag: string) =>
    direct.pushEmpty(path, tag, "application/vnd.example.image", { built: tag });
  const tags = async () => (await direct.tags(path)).sort();
  const viaProxy = () => set({ REGISTRY_URL: proxy.url });

  beforeEach(async () => {
    path = `t${run}/my-app-${++count}`;
    direct = new Registry();
    proxy = await startFaultyProxy(variable("REGISTRY_URL"));
  });
  afterEach(async () => {
    await proxy.close();
    for (const tag of await direct.tags(path)) {
      const digest = await direct.digest(path, tag);
      if (digest) await direct.deleteManifest(path, digest);
    }
  });

  it("makes a path with its mark", async () => {
    const { id, outs } = await provider.create(inputs());
    assert.equal(id, path);
    assert.deepEqual(outs, inputs());
    assert.deepEqual(await direct.annotations(path, "rdev-infra"), {
      "managed-by": "rdev-infra",
      project: "my-app",
    });
    assert.deepEqual((await provider.read(id, outs)).props, inputs());
  });

  it("adopts its own path, with what CI has pushed", async () => {
    await provider.create(inputs());
    await push("1");
    await provider.create(inputs());
    assert.deepEqual(await tags(), ["1", "rdev-infra"]);
  });

  it("refuses a path that holds images of somebody else, untouched", async () => {
    await push("1");
    await rejected(provider.create(inputs()), /^RDEV_NOT_OURS: /);
    assert.deepEqual(await tags(), ["1"]);
  });

  it("refuses the path of another project", async () => {
    await provider.create(inputs({ owner: testOwner("neighbour") }));
    await rejected(provider.create(inputs()), /^RDEV_NOT_OURS: /);
  });

  it("finds that its path is gone", async () => {
    const { id, outs } = await provider.create(inputs());
    const digest = await direct.digest(path, "rdev-infra");
    await direct.deleteManifest(path, digest ?? "");
    assert.equal((await provider.read(id, outs)).id, "");
  });

  it("deletes all that is tagged in it, and again without an error", async () => {
    const { id, outs } = await provider.create(inputs());
    for (const tag of ["1", "2", "latest"]) await push(tag);
    await provider.delete(id, outs);
    assert.deepEqual(await tags(), []);
    assert.equal(await direct.annotations(path, "rdev-infra"), undefined);
    await provider.delete(id, outs);
  });

  it("deletes nothing of a path that is not its own", async () => {
    await push("1");
    await provider.delete(path, inputs());
    assert.deepEqual(await tags(), ["1"]);
  });

  it("goes on with a delete that failed half way", async () => {
    const { id, outs } = await provider.create(inputs());
    // Registries list tags by the alphabet: this one comes after the mark's.
    for (const tag of ["1", "zz"]) await push(tag);
    const last = await direct.digest(path, "zz");
    viaProxy();
    proxy.misbehave({ match: { method: "DELETE", path: new RegExp(last ?? "") }, status: 500 });
    await rejected(provider.delete(id, outs), /^RDEV_UNREACHABLE: /);
    assert.ok((await tags()).includes("rdev-infra"));
    proxy.misbehave(undefined);
    await provider.delete(id, outs);
    assert.deepEqual(await tags(), []);
  });

  it("finds the tags of every page", async () => {
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

  it("says that the registry must allow deletes", async () => {
    const { id, outs } = await provider.create(inputs());
    viaProxy();
    proxy.misbehave({ match: { method: "DELETE" }, status: 405 });
    await rejected(provider.delete(id, outs), /^RDEV_REFUSED: .*storage\.delete\.enabled/);
    assert.deepEqual(await tags(), ["rdev-infra"]);
  });

  it("is finished by the next try where a create fails half way", async () => {
    viaProxy();
    proxy.misbehave({ match: { method: "PUT", path: /manifests/ }, status: 500, times: 1 });
    await rejected(provider.create(inputs()), /^RDEV_UNREACHABLE: /);
    await provider.create(inputs());
    assert.deepEqual(await tags(), ["rdev-infra"]);
  });

  it("does not start an upload again that may have begun", async () => {
    viaProxy();
    proxy.misbehave({ match: { method: "POST" }, reset: true, times: 1 });
    await rejected(provider.create(inputs()), /^RDEV_UNREACHABLE: /);
    assert.equal(proxy.requests.filter((text) => text.startsWith("POST")).length, 1);
  });

  itMeetsFaults({
    url: "REGISTRY_URL",
    credential: "REGISTRY_PASSWORD",
    read: () => provider.read(path, inputs()),
  });
});
