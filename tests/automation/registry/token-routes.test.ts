import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from "jose";
import type { Problem } from "../../../automation/service/schemas/problem.ts";
import { signingKey } from "../../../automation/registry/signing-key.ts";
import { ISSUER, SERVICE, TokenIssuer } from "../../../automation/registry/token-issuer.ts";
import { registryAccount } from "../../../core/registry.ts";
import { fakeService } from "../../support/fake-service.ts";
import { rejected } from "../../support/errors.ts";

const SECRET = "a secret of thirty-two characters";
const ADMINISTRATOR = { username: "admin", password: "planted-admin" };
const SHARED = { username: "ci", password: "planted-ci" };

const pem = (namedCurve = "P-256") =>
  generateKeyPairSync("ec", { namedCurve })
    .privateKey.export({ type: "pkcs8", format: "pem" })
    .toString();

const basic = ({ username, password }: typeof SHARED) => ({
  authorization: `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`,
});

const account = (changes: object = {}) =>
  registryAccount(SECRET, {
    platform: "staging",
    slug: "my-app",
    kind: "push" as const,
    version: 2,
    ...changes,
  });

async function service(limits = {}) {
  const tokenIssuer = new TokenIssuer({
    key: await signingKey(pem(), "KEY"),
    secret: SECRET,
    oldestVersion: 2,
    administrator: ADMINISTRATOR,
    shared: SHARED,
    markOf: async (path) =>
      path === "my-app" ? { platform: "staging", slug: "my-app" } : undefined,
  });
  return (await fakeService({ tokenIssuer, limits })).app;
}

const SCOPE = "/v1/registry/token?scope=repository:my-app:pull,push";

describe("the token endpoint of the registry", () => {
  it("issues a token that the public key verifies, with the rights of the account", async () => {
    const app = await service();
    const answer = await app.inject({
      url: `/v1/registry/token?account=x&service=${SERVICE}&scope=repository:my-app:pull,push,delete&scope=repository:neighbour:pull`,
      headers: basic(account()),
    });
    assert.equal(answer.statusCode, 200, answer.body);
    assert.equal(answer.headers["cache-control"], "no-store");
    const { token, access_token, expires_in } = answer.json<Record<string, string>>();
    assert.equal(access_token, token);
    assert.ok(Number(expires_in) >= 60, "Docker's clients need at least 60 s");
    const keys = createLocalJWKSet((await app.inject("/v1/registry/jwks")).json<JSONWebKeySet>());
    const { payload, protectedHeader } = await jwtVerify(token ?? "", keys, {
      issuer: ISSUER,
      audience: SERVICE,
      algorithms: ["ES256"],
    });
    assert.ok(protectedHeader.kid);
    assert.equal(payload.sub, "staging.my-app.push.2");
    assert.deepEqual(payload["access"], [
      { type: "repository", name: "my-app", actions: ["pull", "push"] },
    ]);
    await app.close();
  });

  it("publishes no private key", async () => {
    const app = await service();
    const { keys } = (await app.inject("/v1/registry/jwks")).json<JSONWebKeySet>();
    assert.deepEqual(Object.keys(keys[0] ?? {}).sort(), [
      "alg",
      "crv",
      "kid",
      "kty",
      "use",
      "x",
      "y",
    ]);
    await app.close();
  });

  it("refuses every invalid account without a reason", async () => {
    const app = await service();
    const neighbour = account({ slug: "neighbour" });
    for (const wrong of [
      { ...account(), username: neighbour.username },
      account({ version: 1 }),
      { ...account(), password: "" },
      { ...ADMINISTRATOR, password: SHARED.password },
      { username: "", password: "" },
    ]) {
      const answer = await app.inject({ url: SCOPE, headers: basic(wrong) });
      assert.equal(answer.statusCode, 401, wrong.username);
      assert.equal(answer.headers["www-authenticate"], 'Basic realm="rdev-infra"');
      assert.equal(answer.json<Problem>().code, "RDEV_ACCOUNT");
      assert.doesNotMatch(answer.body, /planted/);
    }
    for (const headers of [{}, { authorization: "Bearer x" }, { authorization: "Basic %" }]) {
      assert.equal((await app.inject({ url: SCOPE, headers })).statusCode, 401);
    }
    await app.close();
  });

  it("limits wrong passwords per address, but not project accounts", async () => {
    const app = await service({ unauthenticatedPerMinute: 2 });
    const wrong = { ...ADMINISTRATOR, password: "wrong" };
    const ask = (credentials: typeof SHARED) =>
      app.inject({ url: SCOPE, headers: basic(credentials) });
    for (const status of [401, 401, 429]) assert.equal((await ask(wrong)).statusCode, status);
    const refused = await ask(ADMINISTRATOR);
    assert.equal(refused.statusCode, 429, "a correct guess must not show");
    assert.ok(Number(refused.headers["retry-after"]) > 0);
    assert.equal((await ask(account())).statusCode, 200);
    await app.close();
  });

  it("limits the tokens per account", async () => {
    const app = await service({ tokensPerMinute: 2 });
    const ask = (credentials: typeof SHARED) =>
      app.inject({ url: SCOPE, headers: basic(credentials) });
    for (const status of [200, 200, 429]) assert.equal((await ask(account())).statusCode, status);
    assert.equal((await ask(account({ kind: "pull" }))).statusCode, 200);
    await app.close();
  });

  it("refuses other registries and malformed scopes", async () => {
    const app = await service();
    const headers = basic(account());
    for (const query of ["service=other", "scope=repository", "scope=repository:my-app:pull%00"]) {
      const answer = await app.inject({ url: `/v1/registry/token?${query}`, headers });
      assert.equal(answer.statusCode, 400, query);
      assert.equal(answer.json<Problem>().code, "RDEV_REQUEST");
    }
    await app.close();
  });

  it("answers 405 to a form, so that the client retries with GET", async () => {
    const app = await service();
    const answer = await app.inject({
      method: "POST",
      url: "/v1/registry/token",
      payload: "grant_type=password",
      headers: { "content-type": "application/x-www-form-urlencoded" },
    });
    assert.equal(
      answer.statusCode,
      405,
      "containerd retries with GET after 405, but not after 415",
    );
    await app.close();
  });

  it("answers 404 in a service without the key", async () => {
    const { app } = await fakeService();
    for (const url of [SCOPE, "/v1/registry/jwks"]) {
      const answer = await app.inject({ url, headers: basic(account()) });
      assert.equal(answer.statusCode, 404);
      assert.match(answer.json<Problem>().detail, /REGISTRY_TOKEN_KEY/);
    }
    await app.close();
  });
});

describe("the signing key of the registry's tokens", () => {
  it("must be a P-256 private key; the error does not contain it", async () => {
    for (const wrong of ["planted", pem("P-384")]) {
      const { message } = await rejected(
        signingKey(wrong, "REGISTRY_TOKEN_KEY"),
        /^REGISTRY_TOKEN_KEY is not a P-256 private key in PEM\. .*openssl/,
      );
      assert.doesNotMatch(message, /planted|BEGIN/);
    }
  });

  it("may have either PEM format that openssl writes", async () => {
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const [one, two] = await Promise.all(
      (["pkcs8", "sec1"] as const).map((type) =>
        signingKey(privateKey.export({ type, format: "pem" }).toString(), "KEY"),
      ),
    );
    assert.equal(one?.id, two?.id);
  });
});
