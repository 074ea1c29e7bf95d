import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Account, type AccountKind, registryAccount } from "../../../core/registry.ts";
import { Registry } from "../../../providers/registry/client.ts";
import { provider } from "../../../providers/registry/repository.ts";
import { Blobs } from "../../../sandbox/images/blobs.ts";
import { type Image, packImage, PLATFORM as MACHINE } from "../../../sandbox/images/image.ts";
import { pullImage } from "../../../sandbox/images/pull.ts";
import { pushImage } from "../../../sandbox/images/push.ts";
import { PLATFORM } from "../../../sandbox/platform.ts";
import { startBasicRegistry } from "../../support/basic-registry.ts";
import { rejected } from "../../support/errors.ts";
import { testOwner } from "../../support/owner.ts";
import { uniqueSlug } from "../../support/unique-slug.ts";
import { variable } from "../../support/variables.ts";

/** More than what is sent at once. */
const BIG = Buffer.alloc(3_000_000, "x");

describe("a packed image", () => {
  let folder: string;
  let image: Image;
  let slug: string;
  let count = 0;
  const emptyStore = () => new Blobs(join(folder, `store-${++count}`));
  const owned = () => ({ path: slug, owner: testOwner(slug) });

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "rdev-images-"));
    image = await packImage(
      emptyStore(),
      [[{ path: "/app", content: BIG }], [{ path: "/etc/app.conf", content: "a" }]],
      { entrypoint: ["/app"] },
    );
  });
  beforeEach(async () => {
    slug = uniqueSlug();
    await provider.create(owned());
  });
  afterEach(() => provider.delete(slug, owned()));
  after(() => rm(folder, { recursive: true }));

  function accountOf(kind: AccountKind, of = slug): Account {
    const name = { platform: PLATFORM, slug: of, kind, version: 1 };
    return registryAccount(variable("REGISTRY_TOKEN_SECRET"), name);
  }

  const target = (account: Account, changes: object = {}) => ({
    url: variable("REGISTRY_URL"),
    repository: slug,
    tag: "1",
    account,
    ...changes,
  });
  const source = (account: Account | undefined, changes: object = {}) => ({
    url: variable("REGISTRY_URL"),
    repository: slug,
    reference: "1",
    ...(account && { account }),
    ...changes,
  });

  /** The pulled image has the same bytes as the packed one. */
  async function assertPulled(pulled: Image): Promise<void> {
    assert.equal(pulled.manifest.digest, image.manifest.digest);
    assert.deepEqual(pulled.layers, image.layers);
    for (const { digest } of [image.manifest, image.config, ...image.layers]) {
      const content = await readFile(pulled.blobs.file(digest));
      assert.ok(content.equals(await image.blobs.read(digest)), digest);
    }
  }

  it("is pushed by a project's pipeline, and pulled by its pods", async () => {
    const digest = await pushImage(image, target(accountOf("push")));
    assert.equal(digest, image.manifest.digest);
    assert.equal(await new Registry().digest(slug, "1"), digest);
    const pull = accountOf("pull");
    await assertPulled(await pullImage(emptyStore(), source(pull)));
    await assertPulled(await pullImage(emptyStore(), source(pull, { reference: digest })));
    // A second push sends no layer again.
    assert.equal(await pushImage(image, target(accountOf("push"), { tag: "2" })), digest);
  });

  it("cannot be pushed by the pods' account, another project's, or with a wrong password", async () => {
    const stranger = uniqueSlug();
    for (const [account, code, text] of [
      [accountOf("pull"), "RDEV_FORBIDDEN", /does not let the account \S+\.pull\.1 do POST/],
      [accountOf("push", stranger), "RDEV_FORBIDDEN", /does not let the account/],
      [{ ...accountOf("push"), password: "wrong-password" }, "RDEV_UNAUTHORIZED", /refused/],
    ] as const) {
      const error = await rejected(pushImage(image, target(account)), text);
      assert.equal(error.name, code);
      assert.ok(!error.message.includes(account.password));
    }
    assert.deepEqual(await new Registry().tags(slug), []);
  });

  it("cannot be pulled by another project, with a wrong password, or without an account", async () => {
    await pushImage(image, target(accountOf("push")));
    const name = `${new URL(variable("REGISTRY_URL")).host}/${slug}:1`;
    for (const [account, code, text] of [
      [accountOf("pull", uniqueSlug()), "RDEV_FORBIDDEN", `may not pull ${name}.`],
      [{ ...accountOf("pull"), password: "wrong-password" }, "RDEV_UNAUTHORIZED", "refused"],
      [undefined, "RDEV_UNAUTHORIZED", "refused a client without an account"],
    ] as const) {
      const error = await rejected(pullImage(emptyStore(), source(account)), new RegExp(text));
      assert.equal(error.name, code);
      assert.ok(!error.message.includes(account?.password ?? "wrong-password"));
    }
  });

  it("is pushed and pulled with basic authentication where the registry asks for it", async () => {
    const registry = await startBasicRegistry();
    try {
      const account = { username: "ci", password: "ci-password" };
      await registry.setAccount(account.username, account.password);
      const wrong = { ...account, password: "wrong-password" };
      const { url } = registry;
      await rejected(pushImage(image, target(wrong, { url })), /refused the account ci/);
      await pushImage(image, target(account, { url }));
      await assertPulled(await pullImage(emptyStore(), source(account, { url })));
      for (const bad of [wrong, undefined]) {
        const error = await rejected(pullImage(emptyStore(), source(bad, { url })), /refused/);
        assert.equal(error.name, "RDEV_UNAUTHORIZED");
      }
    } finally {
      await registry.stop();
    }
  });

  it("is not pushed under a malformed name", async () => {
    for (const changes of [{ repository: "No Repository" }, { tag: "a:b" }, { tag: "" }]) {
      const error = await rejected(
        pushImage(image, target(accountOf("push"), changes)),
        /is not an image's name, such as team\/my-app:1\.$/,
      );
      assert.equal(error.name, "RDEV_SANDBOX");
    }
  });

  it("that does not exist, or on a server that is down, cannot be pulled", async () => {
    const missing = await rejected(
      pullImage(emptyStore(), source(accountOf("pull"), { reference: "none" })),
      new RegExp(`There is no image \\S+/${slug}:none`),
    );
    assert.equal(missing.name, "RDEV_REFUSED");
    const down = await rejected(
      pullImage(emptyStore(), source(undefined, { url: "http://127.0.0.1:1" })),
      /^http:\/\/127\.0\.0\.1:1 cannot be reached\.$/,
    );
    assert.equal(down.name, "RDEV_UNREACHABLE");
  });

  describe("in a public registry", () => {
    let server: Server;
    let storage: Server;
    let url: string;
    let tamper = false;
    const INDEX = "application/vnd.oci.image.index.v1+json";
    let manifests: object[];

    before(async () => {
      const read = (digest: string) => image.blobs.read(digest);
      // Like a public registry: tokens for everybody, an index, and blobs on another host.
      storage = createServer((request, response) => {
        assert.equal(request.headers.authorization, undefined);
        const digest = (request.url ?? "").slice(1);
        void read(digest).then((content) => response.end(tamper ? "other" : content));
      }).listen(0, "127.0.0.1");
      await once(storage, "listening");
      server = createServer((request, response) => {
        const [path = "", query = ""] = (request.url ?? "").split("?");
        if (path === "/token") {
          const scope = new URLSearchParams(query).get("scope");
          response.end(JSON.stringify({ token: `for ${scope}` }));
        } else if (request.headers.authorization !== "Bearer for repository:library/app:pull") {
          const challenge = `Bearer realm="${url}/token",service="public"`;
          response.writeHead(401, { "www-authenticate": challenge }).end();
        } else if (path === "/v2/library/app/manifests/1") {
          response.setHeader("content-type", INDEX);
          response.end(JSON.stringify({ schemaVersion: 2, mediaType: INDEX, manifests }));
        } else if (path.startsWith("/v2/library/app/manifests/")) {
          response.setHeader("content-type", image.manifest.mediaType);
          void read(image.manifest.digest).then((content) => response.end(content));
        } else {
          const location = `${urlOf(storage)}/${path.split("/").at(-1)}`;
          response.writeHead(307, { location }).end();
        }
      }).listen(0, "127.0.0.1");
      await once(server, "listening");
      url = urlOf(server);
    });
    beforeEach(() => {
      tamper = false;
      manifests = [
        { ...image.manifest, digest: `sha256:${"0".repeat(64)}`, platform: platformOf("s390x") },
        { ...image.manifest, platform: platformOf(MACHINE.architecture) },
      ];
    });
    after(() => {
      server.close();
      storage.close();
    });

    const pull = () => pullImage(emptyStore(), { url, repository: "library/app", reference: "1" });

    it("is pulled for this machine's platform, without an account", async () => {
      await assertPulled(await pull());
    });

    it("is refused if its content does not match its digest", async () => {
      tamper = true;
      assert.equal((await rejected(pull(), /has the digest sha256:/)).name, "RDEV_CONTRACT");
    });

    it("is refused if there is none for this machine's platform", async () => {
      manifests = manifests.slice(0, 1);
      const text = new RegExp(`has no image for linux/${MACHINE.architecture}\\.$`);
      assert.equal((await rejected(pull(), text)).name, "RDEV_REFUSED");
    });
  });
});

const platformOf = (architecture: string) => ({ os: "linux", architecture });

function urlOf(server: Server): string {
  const address = server.address();
  assert.ok(address && typeof address === "object");
  return `http://127.0.0.1:${address.port}`;
}
