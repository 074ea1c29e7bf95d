import assert from "node:assert/strict";
import { createHmac, createPublicKey } from "node:crypto";
import { mock } from "node:test";
import { type JWTPayload, SignJWT, UnsecuredJWT } from "jose";
import type { Problem } from "../../../automation/service/schemas/problem.ts";
import { bearer, type FakeService, fakeService } from "../../support/fake-service.ts";
import { CLIENT_ID, Identities } from "../../support/identities.ts";

const seconds = () => Math.floor(Date.now() / 1000);

describe("a token", () => {
  let identities: Identities;
  let service: FakeService;

  beforeEach(async () => {
    identities = await Identities.start();
    service = await fakeService({}, identities.options());
  });
  afterEach(async () => {
    mock.timers.reset();
    await service.app.close();
    await identities.stop();
  });

  const list = (token: string) =>
    service.app.inject({ url: "/v1/projects", headers: bearer(token) });

  async function refused(token: string, detail: RegExp): Promise<void> {
    const answer = await list(token);
    assert.equal(answer.statusCode, 401, answer.body);
    const problem = answer.json<Problem>();
    assert.equal(problem.code, "RDEV_TOKEN");
    assert.match(problem.detail, detail);
    assert.equal(answer.headers["www-authenticate"], 'Bearer realm="rdev-infra"');
  }

  it("of a person has the roles of the person's groups", async () => {
    const token = await identities.user({ groups: ["viewer", "strangers"] });
    assert.equal((await list(token)).statusCode, 200);
    const me = await service.app.inject({ url: "/auth/me", headers: bearer(token) });
    assert.deepEqual(me.json(), {
      kind: "user",
      actor: "user:alice (7)",
      grants: [{ role: "viewer", project: null }],
    });
  });

  it("of a service account has the roles of the settings", async () => {
    const token = await identities.serviceAccount("other-admin");
    const me = await service.app.inject({ url: "/auth/me", headers: bearer(token) });
    assert.deepEqual(me.json(), {
      kind: "serviceAccount",
      actor: "serviceAccount:ci/other-admin",
      grants: [{ role: "admin", project: "other" }],
    });
  });

  it("of a caller without a role is known, but may do nothing", async () => {
    for (const token of [
      await identities.user({ groups: ["strangers"] }),
      await identities.user({ groups: undefined }),
      await identities.serviceAccount("stranger"),
    ]) {
      const answer = await list(token);
      assert.equal(answer.statusCode, 403);
      assert.match(answer.json<Problem>().detail, /has no role; this route needs the role viewer/);
    }
  });

  it("adds up the roles of several groups", async () => {
    const headers = bearer(await identities.user({ groups: ["viewer", "other-operator"] }));
    const statusOf = async (method: "GET" | "PUT" | "DELETE", slug: string) => {
      const url = `/v1/projects/${slug}`;
      const payload = method === "PUT" && { payload: {} };
      return (await service.app.inject({ method, url, headers, ...payload })).statusCode;
    };
    assert.equal(await statusOf("GET", "my-app"), 200);
    assert.equal(await statusOf("PUT", "my-app"), 403);
    assert.equal(await statusOf("PUT", "other"), 202);
    assert.equal(await statusOf("DELETE", "other"), 403);
  });

  it("accepts a group that is one text, and refuses other forms", async () => {
    assert.equal((await list(await identities.user({ groups: "viewer" }))).statusCode, 200);
    await refused(await identities.user({ groups: { viewer: true } }), /groups in an unknown form/);
  });

  const wrong: Record<string, [claims: () => JWTPayload, detail: RegExp]> = {
    "an expired one": [() => ({ exp: seconds() - 60 }), /has expired/],
    "one that is not valid yet": [() => ({ nbf: seconds() + 60 }), /is not valid yet/],
    "another audience": [() => ({ aud: "another" }), /is for another audience/],
    "another issuer": [() => ({ iss: "https://evil.example" }), /an issuer .* does not trust/],
    "no issuer": [() => ({ iss: undefined }), /an issuer .* does not trust/],
    "no audience": [() => ({ aud: undefined }), /lacks the claim "aud"/],
    "no end": [() => ({ exp: undefined }), /lacks the claim "exp"/],
    "no time of issue": [() => ({ iat: undefined }), /lacks the claim "iat"/],
    "no subject": [() => ({ sub: undefined }), /lacks a usable claim "sub"/],
    "a subject with spaces": [() => ({ sub: "7) (8" }), /lacks a usable claim "sub"/],
    "an end that is no number": [() => ({ exp: "never" as never }), /unexpected claim "exp"/],
  };
  for (const [what, [claims, detail]] of Object.entries(wrong)) {
    it(`is refused with ${what}, for people and service accounts`, async () => {
      await refused(await identities.user({ groups: ["admin"], ...claims() }), detail);
      await refused(await identities.serviceAccount("admin", claims()), detail);
    });
  }

  it("of one issuer is refused in the name of the other", async () => {
    const iss = identities.people.url;
    const forged = await identities.cluster.sign({
      iss,
      sub: "7",
      aud: CLIENT_ID,
      groups: ["admin"],
    });
    await refused(forged, /a key that the issuer .* does not publish/);
    const pod = await identities.cluster.sign({
      iss: "https://kubernetes.default.svc.cluster.local",
      sub: "somebody",
      aud: "rdev-infra",
    });
    await refused(pod, /is not a service account's/);
  });

  it("is refused without a signature, and with one by the issuer's public key as a secret", async () => {
    const claims = { sub: "7", groups: ["admin"], exp: seconds() + 60, iat: seconds() };
    const unsecured = new UnsecuredJWT(claims).setIssuer(identities.people.url);
    await refused(unsecured.setAudience(CLIENT_ID).encode(), /algorithm that is not allowed/);

    const [jwk] = identities.people.publicKeys;
    const pem = createPublicKey({ key: jwk as never, format: "jwk" });
    const secret = Buffer.from(pem.export({ type: "spki", format: "pem" }));
    const hs256 = await new SignJWT({ ...claims, iss: identities.people.url, aud: CLIENT_ID })
      .setProtectedHeader({ alg: "HS256", kid: jwk?.kid ?? "" })
      .sign(secret);
    await refused(hs256, /algorithm that is not allowed/);
    const [header, body] = hs256.split(".");
    const again = createHmac("sha256", secret).update(`${header}.${body}`).digest("base64url");
    assert.equal(hs256.split(".")[2], again, "the attack is built as an attacker would");
  });

  it("is refused after any change", async () => {
    const token = await identities.user({ groups: ["viewer"] });
    const [header = "", body = "", signature = ""] = token.split(".");
    const claims = JSON.parse(Buffer.from(body, "base64url").toString()) as JWTPayload;
    const admin = Buffer.from(JSON.stringify({ ...claims, groups: ["admin"] })).toString(
      "base64url",
    );
    await refused(`${header}.${admin}.${signature}`, /a signature that is not by/);
    await refused(`${header}.${body}.`, /a signature that is not by/);
    await refused(`${header}.e30.${signature}`, /an issuer .* does not trust/);
    await refused(`${header}.AAAA.${signature}`, /is malformed/);
  });

  it("is accepted while the clocks differ by less than 10 seconds", async () => {
    const groups = ["viewer"];
    const statusOf = async (claims: JWTPayload) =>
      (await list(await identities.user({ groups, ...claims }))).statusCode;
    assert.equal(await statusOf({ exp: seconds() - 5 }), 200);
    assert.equal(await statusOf({ exp: seconds() - 15 }), 401);
    assert.equal(await statusOf({ nbf: seconds() + 5 }), 200);
    assert.equal(await statusOf({ nbf: seconds() + 15 }), 401);
  });

  it("with a new key is accepted after a rotation, and with the old key refused", async () => {
    mock.timers.enable({ apis: ["Date"], now: Date.now() });
    const old = await identities.user({ groups: ["viewer"] });
    assert.equal((await list(old)).statusCode, 200);
    await identities.people.rotate();
    mock.timers.tick(31_000);
    assert.equal((await list(await identities.user({ groups: ["viewer"] }))).statusCode, 200);
    await refused(old, /a key that the issuer .* does not publish/);
  });

  it("with an unknown key makes the service fetch the keys at most twice a minute", async () => {
    mock.timers.enable({ apis: ["Date"], now: Date.now() });
    assert.equal((await list(await identities.user({ groups: ["viewer"] }))).statusCode, 200);
    for (let n = 0; n < 20; n += 1) {
      const token = await identities.people.sign(
        { sub: "7", aud: CLIENT_ID },
        { kid: `unknown-${n}` },
      );
      await refused(token, /a key that the issuer .* does not publish/);
      mock.timers.tick(3_000);
    }
    assert.equal(identities.people.asked, 2);
  });

  it("gets 503 while its issuer is down, and API keys and other issuers go on", async () => {
    const user = await identities.user({ groups: ["viewer"] });
    await identities.people.stop();
    const answer = await list(user);
    assert.equal(answer.statusCode, 503);
    assert.equal(answer.json<Problem>().code, "RDEV_ISSUER");
    assert.equal((await list(service.key("viewer"))).statusCode, 200);
    assert.equal((await list(await identities.serviceAccount("viewer"))).statusCode, 200);
    const line = service.lines.find(({ code }) => code === "RDEV_ISSUER");
    assert.match(String(line?.["msg"]), /The keys of the issuer http:.* could not be read/);
  });

  it("without an issuer is refused while the API server is down", async () => {
    identities.cluster.status = 500;
    await refused(await identities.user({ iss: undefined }), /an issuer .* does not trust/);
    assert.equal((await list(await identities.serviceAccount("viewer"))).statusCode, 503);
    assert.equal((await list(await identities.user({ groups: ["viewer"] }))).statusCode, 200);
  });

  it("is accepted with keys that are known, while the issuer is down", async () => {
    mock.timers.enable({ apis: ["Date"], now: Date.now() });
    const token = await identities.serviceAccount("viewer");
    assert.equal((await list(token)).statusCode, 200);
    identities.cluster.status = 500;
    mock.timers.tick(9 * 60_000);
    assert.equal((await list(token)).statusCode, 200);
    mock.timers.tick(2 * 60_000);
    assert.equal((await list(token)).statusCode, 503, "keys may have been withdrawn");
    identities.cluster.status = undefined;
    assert.equal((await list(token)).statusCode, 503, "no second request within 5 seconds");
    assert.equal(identities.cluster.asked, 2);
    mock.timers.tick(5_000);
    assert.equal((await list(token)).statusCode, 200);
  });

  it("that is wrong counts against its address, and does not lock out valid ones", async () => {
    await service.app.close();
    const limits = { unauthenticatedPerMinute: 3 };
    service = await fakeService({ limits }, identities.options());
    const wrongOne = await identities.user({ aud: "another" });
    const statuses = [];
    for (let n = 0; n < 5; n += 1) statuses.push((await list(wrongOne)).statusCode);
    assert.deepEqual(statuses, [401, 401, 401, 429, 429]);
    assert.equal((await list(await identities.user({ groups: ["viewer"] }))).statusCode, 200);
    const [refusal] = service.audit;
    assert.deepEqual([refusal?.actor, refusal?.details?.["code"]], ["unknown", "RDEV_TOKEN"]);
  });

  it("has its own rate limit for each person and service account", async () => {
    await service.app.close();
    service = await fakeService({ limits: { requestsPerMinute: 2 } }, identities.options());
    const alice = async () =>
      (await list(await identities.user({ groups: ["viewer"] }))).statusCode;
    assert.deepEqual([await alice(), await alice(), await alice()], [200, 200, 429]);
    const bob = await identities.user({ groups: ["viewer"], sub: "8" });
    assert.equal((await list(bob)).statusCode, 200);
    assert.equal((await list(await identities.serviceAccount("viewer"))).statusCode, 200);
    assert.equal((await list(service.key("viewer"))).statusCode, 200);
  });

  it("names the person in the operation and in the audit trail, whatever the name contains", async () => {
    const token = await identities.user({
      groups: ["operator"],
      preferred_username: "Eve (1)\nuser:root",
    });
    const headers = bearer(token);
    await service.app.inject({ method: "PUT", url: "/v1/projects/my-app", headers, payload: {} });
    assert.equal(service.submitted[0]?.actor, "user:Eve__1__user_root (7)");
    await service.app.inject({ method: "DELETE", url: "/v1/projects/my-app", headers });
    assert.equal(service.audit[0]?.actor, "user:Eve__1__user_root (7)");
  });

  it("is refused like an unknown key if the service has no settings for it", async () => {
    await service.app.close();
    service = await fakeService();
    const answer = await list(await identities.user({ groups: ["admin"] }));
    assert.deepEqual([answer.statusCode, answer.json<Problem>().code], [401, "RDEV_KEY"]);
  });
});
