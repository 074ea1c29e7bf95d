import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { decodeJwt, SignJWT } from "jose";
import { request } from "undici";
import { ISSUER, SERVICE } from "../../automation/registry/token-issuer.ts";
import { type Account, type AccountKind, registryAccount } from "../../core/registry.ts";
import { Registry } from "../../providers/registry/client.ts";
import { MARK, markPath } from "../../providers/registry/mark.ts";
import { provider } from "../../providers/registry/repository.ts";
import { Blobs } from "../../sandbox/images/blobs.ts";
import { type Image, packImage } from "../../sandbox/images/image.ts";
import { pushImage } from "../../sandbox/images/push.ts";
import { PLATFORM } from "../../sandbox/platform.ts";
import { testOwner } from "../support/owner.ts";
import { uniqueSlug } from "../support/unique-slug.ts";
import { variable } from "../support/variables.ts";

const MANIFEST = "application/vnd.oci.image.manifest.v1+json";

/** The registry is distribution, with tokens. */
describe("an attack on the image registry", function () {
  this.timeout(400_000);
  let slug: string;
  let neighbour: string;
  let registry: Registry;
  let folder: string;
  /** The image of `slug`, and its layer. The neighbour's image has the same layer. */
  let manifest: string;
  let layer: string;

  before(async () => {
    registry = new Registry();
    folder = await mkdtemp(join(tmpdir(), "rdev-attacks-"));
    [slug, neighbour] = [uniqueSlug(), uniqueSlug()];
    for (const each of [slug, neighbour]) {
      await provider.create({ path: each, owner: testOwner(each) });
    }
    await pushed(neighbour);
    const { blobs, ...image } = await pushed(slug);
    manifest = (await blobs.read(image.manifest.digest)).toString();
    layer = image.layers[0]?.digest ?? "";
  });
  after(async () => {
    await rm(folder, { recursive: true });
    for (const each of [slug, neighbour]) {
      await provider.delete(each, { path: each, owner: testOwner(each) });
    }
  });

  function accountOf(kind: AccountKind, of = slug, changes: object = {}): Account {
    const name = { platform: PLATFORM, slug: of, kind, version: 1, ...changes };
    return registryAccount(variable("REGISTRY_TOKEN_SECRET"), name);
  }

  /** Requests a token. The answer grants the part of the scopes that the account may have. */
  async function ask(account: Account, ...scopes: string[]) {
    const query = new URLSearchParams();
    for (const scope of scopes) query.append("scope", scope);
    const basic = Buffer.from(`${account.username}:${account.password}`).toString("base64");
    const { statusCode, body } = await request(
      `http://${variable("REGISTRY_TOKEN_LISTEN")}/v1/registry/token?${query.toString()}`,
      { headers: { authorization: `Basic ${basic}` } },
    );
    const answer = (await body.json()) as { token?: string; code?: string };
    return { status: statusCode, token: answer.token ?? "", code: answer.code };
  }

  const everythingOn = (path: string) => `repository:${path}:pull,push,delete`;

  /** The registry's HTTP status for a request with a token. */
  async function status(token: string, method: string, path: string, body?: string, type?: string) {
    const answer = await request(`${variable("REGISTRY_URL")}/v2/${path}`, {
      method: method as "GET",
      headers: {
        authorization: `Bearer ${token}`,
        accept: MANIFEST,
        ...(type && { "content-type": type }),
      },
      body: body ?? null,
    });
    await answer.body.dump();
    return answer.statusCode;
  }

  /** Sends a request with a token for which the account requested all actions on the path. */
  async function tries(
    account: Account,
    method: string,
    path: string,
    options: { readonly body?: string; readonly scopes?: readonly string[] } = {},
  ) {
    const [repository = ""] = path.split(/\/(?:manifests|blobs|tags)\//);
    const scopes = [everythingOn(repository), ...(options.scopes ?? [])];
    const { token } = await ask(account, ...scopes);
    return status(token, method, path, options.body, options.body ? MANIFEST : undefined);
  }

  /** Pushes an image as the project's pipeline does. Its manifest is different for each project. */
  async function pushed(project: string): Promise<Image> {
    const entries = [{ path: "/app", content: "the same layer" }];
    const image = await packImage(new Blobs(folder), [entries], { labels: { project } });
    const account = accountOf("push", project);
    const url = variable("REGISTRY_URL");
    await pushImage(image, { url, repository: project, tag: "latest", account });
    return image;
  }

  const latest = (path: string) => registry.digest(path, "latest");

  describe("by a project's pipeline", () => {
    it("cannot overwrite, delete or read an image of a neighbour", async () => {
      const before = await latest(neighbour);
      const push = accountOf("push");
      const path = `${neighbour}/manifests/latest`;
      assert.equal(await tries(push, "PUT", path, { body: manifest }), 401);
      assert.equal(await tries(push, "DELETE", `${neighbour}/manifests/${before}`), 401);
      assert.equal(await tries(push, "GET", path), 401);
      assert.equal(await tries(push, "GET", `${neighbour}/tags/list`), 401);
      assert.equal(await tries(push, "GET", `${neighbour}/blobs/${layer}`), 401);
      assert.equal(await latest(neighbour), before);
    });

    it("cannot read, write or delete any mark", async () => {
      const push = accountOf("push");
      for (const each of [slug, neighbour]) {
        const digest = await registry.digest(markPath(each), MARK);
        const path = `${markPath(each)}/manifests`;
        assert.equal(await tries(push, "GET", `${path}/${MARK}`), 401);
        assert.equal(await tries(push, "PUT", `${path}/${MARK}`, { body: manifest }), 401);
        assert.equal(await tries(push, "DELETE", `${path}/${digest}`), 401);
        assert.equal(await registry.digest(markPath(each), MARK), digest);
      }
    });

    it("cannot push to a name that starts with its own, or to an unused name", async () => {
      for (const path of [
        `${slug}-2`,
        `${slug}/cache`,
        `team/${slug}`,
        uniqueSlug(),
        `rdev-infra/marks/${slug}-2`,
      ]) {
        assert.equal(await tries(accountOf("push"), "POST", `${path}/blobs/uploads/`), 401, path);
      }
    });

    it("cannot mount a neighbour's layer into its own repository", async () => {
      const path = `${slug}/blobs/uploads/?mount=${layer}&from=${neighbour}`;
      const scopes = [everythingOn(neighbour)];
      assert.equal(await tries(accountOf("push"), "POST", path, { scopes }), 401);
    });

    it("cannot delete its own images or list the catalog", async () => {
      const push = accountOf("push");
      assert.equal(await tries(push, "DELETE", `${slug}/manifests/${await latest(slug)}`), 401);
      const { token } = await ask(push, "registry:catalog:*");
      assert.equal(await status(token, "GET", "_catalog"), 401);
    });

    it("cannot use its token for another repository, nor an altered or forged token", async () => {
      const { token } = await ask(accountOf("push"), everythingOn(slug));
      assert.equal(await status(token, "GET", `${slug}/tags/list`), 200);
      assert.equal(await status(token, "GET", `${neighbour}/tags/list`), 401);

      const [header = "", , signature = ""] = token.split(".");
      const claims = decodeJwt(token);
      const access = [{ type: "repository", name: neighbour, actions: ["pull"] }];
      const altered = Buffer.from(JSON.stringify({ ...claims, access })).toString("base64url");
      assert.equal(
        await status(`${header}.${altered}.${signature}`, "GET", tagsPath(neighbour)),
        401,
      );
      const none = Buffer.from('{"alg":"none","typ":"JWT"}').toString("base64url");
      assert.equal(await status(`${none}.${altered}.`, "GET", tagsPath(neighbour)), 401);

      const { kid } = JSON.parse(Buffer.from(header, "base64url").toString()) as { kid: string };
      const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
      const forged = await new SignJWT({ ...claims, access })
        .setProtectedHeader({ alg: "ES256", typ: "JWT", kid })
        .sign(privateKey);
      assert.equal(await status(forged, "GET", tagsPath(neighbour)), 401);
    });

    it("cannot use a token of another issuer, for another registry, or an expired one", async () => {
      const { readFile } = await import("node:fs/promises");
      const { signingKey } = await import("../../automation/registry/signing-key.ts");
      const pem = await readFile(variable("REGISTRY_TOKEN_KEY_FILE"), "utf8");
      const key = await signingKey(pem, "KEY");
      const now = Math.floor(Date.now() / 1000);
      const token = (changes: { iss?: string; aud?: string; exp?: number }) =>
        new SignJWT({
          access: [{ type: "repository", name: slug, actions: ["pull"] }],
          iss: ISSUER,
          aud: SERVICE,
          exp: now + 60,
          nbf: now - 7_200,
          ...changes,
        })
          .setProtectedHeader({ alg: "ES256", typ: "JWT", kid: key.id })
          .sign(key.privateKey);
      assert.equal(
        await status(await token({}), "GET", tagsPath(slug)),
        200,
        "valid without changes",
      );
      for (const changes of [{ iss: "else" }, { aud: "else" }, { exp: now - 3_600 }]) {
        assert.equal(await status(await token(changes), "GET", tagsPath(slug)), 401);
      }
    });
  });

  it("by a project's pods fails: they can only pull their own image", async () => {
    const pull = accountOf("pull");
    const digest = await latest(slug);
    assert.equal(await tries(pull, "GET", `${slug}/manifests/${digest}`), 200);
    assert.equal(await tries(pull, "GET", `${slug}/blobs/${layer}`), 200);
    assert.equal(await tries(pull, "POST", `${slug}/blobs/uploads/`), 401);
    assert.equal(await tries(pull, "PUT", `${slug}/manifests/latest`, { body: manifest }), 401);
    assert.equal(await tries(pull, "DELETE", `${slug}/manifests/${digest}`), 401);
    assert.equal(await tries(pull, "GET", `${neighbour}/manifests/latest`), 401);
  });

  it("by another platform's account with the same slug fails", async () => {
    const prod = accountOf("push", slug, { platform: "prod" });
    assert.equal((await ask(prod)).status, 200);
    assert.equal(await tries(prod, "GET", tagsPath(slug)), 401);
    assert.equal(await tries(prod, "POST", `${slug}/blobs/uploads/`), 401);
  });

  it("with another username and one's own password gets no token", async () => {
    const own = accountOf("push");
    for (const username of [
      accountOf("push", neighbour).username,
      accountOf("pull").username,
      accountOf("push", slug, { version: 2 }).username,
      variable("REGISTRY_USERNAME"),
    ]) {
      const answer = await ask({ username, password: own.password }, everythingOn(neighbour));
      assert.deepEqual(answer, { status: 401, token: "", code: "RDEV_ACCOUNT" });
    }
    assert.equal(await status("", "GET", tagsPath(slug)), 401);
  });

  it("by the accounts of a destroyed project fails", async () => {
    const gone = uniqueSlug();
    const state = { path: gone, owner: testOwner(gone) };
    await provider.create(state);
    await pushed(gone);
    await provider.delete(gone, state);
    for (const kind of ["push", "pull"] as const) {
      const account = accountOf(kind, gone);
      assert.equal(await tries(account, "GET", tagsPath(gone)), 401);
      assert.equal(await tries(account, "POST", `${gone}/blobs/uploads/`), 401);
      assert.equal(await tries(account, "GET", tagsPath(slug)), 401);
      const { token } = await ask(account, "registry:catalog:*");
      assert.equal(await status(token, "GET", "_catalog"), 401);
    }
    assert.deepEqual(await registry.tags(gone), []);
  });
});

const tagsPath = (repository: string) => `${repository}/tags/list`;
