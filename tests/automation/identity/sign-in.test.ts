import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mock } from "node:test";
import type { JWTPayload } from "jose";
import type { Problem } from "../../../automation/service/schemas/problem.ts";
import { Browser } from "../../support/browser.ts";
import { bearer, type FakeService, fakeService } from "../../support/fake-service.ts";
import { CLIENT_ID, Identities, ORIGIN } from "../../support/identities.ts";
import { Secrets } from "../../support/leaks.ts";

describe("sign-in with a browser", () => {
  let identities: Identities;
  let service: FakeService;
  let browser: Browser;

  beforeEach(async () => {
    identities = await Identities.start();
    service = await fakeService({}, identities.options());
    browser = new Browser(service.app);
  });
  afterEach(async () => {
    mock.timers.reset();
    await service.app.close();
    await identities.stop();
  });

  /** Starts a sign-in, and returns what the provider is told. */
  async function start(url = "/auth/sign-in"): Promise<URLSearchParams> {
    const answer = await browser.request("GET", url);
    assert.equal(answer.statusCode, 302, answer.body);
    const page = new URL(answer.headers.location ?? "");
    assert.equal(page.origin + page.pathname, `${identities.people.url}/authorize`);
    return page.searchParams;
  }

  /** Comes back from the provider, whose ID token has these claims. */
  async function comeBack(
    asked: URLSearchParams,
    claims: JWTPayload = {},
    state = asked.get("state"),
  ) {
    const nonce = asked.get("nonce") ?? "";
    identities.people.idToken = await identities.user({ groups: ["operator"], nonce, ...claims });
    return browser.request("GET", `/auth/callback?code=a-code&state=${state}`);
  }

  it("leads to the provider and back, and keeps a session", async () => {
    const asked = await start("/auth/sign-in?return=/v1/projects?limit=1");
    assert.deepEqual(
      ["client_id", "response_type", "redirect_uri", "scope", "code_challenge_method"].map((name) =>
        asked.get(name),
      ),
      [CLIENT_ID, "code", `${ORIGIN}/auth/callback`, "openid profile groups", "S256"],
    );
    const back = await comeBack(asked);
    assert.equal(back.statusCode, 302, back.body);
    assert.equal(back.headers.location, "/v1/projects?limit=1");
    assert.equal(back.headers["cache-control"], "no-store");

    const [request] = identities.people.tokenRequests;
    const verifier = request?.get("code_verifier") ?? "";
    const challenge = createHash("sha256").update(verifier).digest("base64url");
    assert.equal(challenge, asked.get("code_challenge"));
    assert.equal(request?.get("client_secret"), "the client's secret");

    const me = await browser.request("GET", "/auth/me");
    assert.equal(me.json<{ actor: string }>().actor, "user:alice (7)");
    const put = await browser.request("PUT", "/v1/projects/my-app", { origin: ORIGIN });
    assert.equal(put.statusCode, 202, put.body);
    assert.equal(service.submitted[0]?.actor, "user:alice (7)");
    assert.deepEqual(
      service.audit.map(({ action, actor, result }) => [action, actor, result]),
      [["auth.sign-in", "user:alice (7)", "success"]],
    );
  });

  it("ends with the sign-out", async () => {
    await comeBack(await start());
    const { statusCode } = await browser.request("POST", "/auth/sign-out");
    assert.equal(statusCode, 403, "another site cannot sign a person out");
    const out = await browser.request("POST", "/auth/sign-out", { origin: ORIGIN });
    assert.equal(out.statusCode, 204);
    assert.equal((await browser.request("GET", "/auth/me")).statusCode, 401);
    const actions = service.audit.map(({ action, actor }) => `${action} by ${actor}`);
    assert.ok(actions.includes("auth.sign-out by user:alice (7)"), actions.join());
  });

  it("sets cookies that scripts and other sites cannot use", async () => {
    await comeBack(await start());
    for (const cookie of browser.received) {
      assert.match(cookie, /; HttpOnly/);
      assert.match(cookie, /; SameSite=Lax/);
      assert.match(cookie, /; Path=\//);
    }
    await service.app.close();
    const options = identities.options();
    const { people } = options.settings ?? {};
    assert.ok(people);
    people.signIn = { ...people.signIn!, publicUrl: "https://infra.example.com" };
    service = await fakeService({}, options);
    browser = new Browser(service.app);
    await comeBack(await start());
    const names = browser.received.map((cookie) => cookie.split("=")[0]);
    assert.deepEqual(names, ["__Host-rdev-sign-in", "__Host-rdev-sign-in", "__Host-rdev-session"]);
    for (const cookie of browser.received) assert.match(cookie, /; Secure/);
  });

  it("ends after the session's time", async () => {
    mock.timers.enable({ apis: ["Date"], now: Date.now() });
    await comeBack(await start());
    mock.timers.tick(7.9 * 3_600_000);
    assert.equal((await browser.request("GET", "/auth/me")).statusCode, 200);
    mock.timers.tick(0.2 * 3_600_000);
    const answer = await browser.request("GET", "/auth/me");
    assert.deepEqual([answer.statusCode, answer.json<Problem>().code], [401, "RDEV_TOKEN"]);
  });

  it("refuses a cookie that it did not encrypt, and one of another purpose", async () => {
    await start();
    const pending = browser.cookie.replace("rdev-sign-in=", "");
    const forged = [pending, "e30.e30.e30.e30.e30", "x", `${await identities.session(["admin"])}x`];
    for (const text of forged) {
      const cookie = `rdev-session=${text.replace("rdev-session=", "")}`;
      const answer = await service.app.inject({ url: "/auth/me", headers: { cookie } });
      assert.deepEqual([answer.statusCode, answer.json<Problem>().code], [401, "RDEV_TOKEN"], text);
    }
  });

  async function fails(answer: Awaited<ReturnType<typeof comeBack>>, status: number, code: string) {
    assert.deepEqual([answer.statusCode, answer.json<Problem>().code], [status, code], answer.body);
    assert.equal((await browser.request("GET", "/auth/me")).statusCode, 401);
  }

  it("fails with another state, another nonce, or an unusable ID token", async () => {
    await fails(await comeBack(await start(), {}, "forged"), 400, "RDEV_SIGN_IN");
    await fails(await comeBack(await start(), { nonce: "forged" }), 400, "RDEV_SIGN_IN");
    await fails(await comeBack(await start(), { aud: "another" }), 400, "RDEV_SIGN_IN");
    const asked = await start();
    const claims = { sub: "7", aud: CLIENT_ID, nonce: asked.get("nonce") ?? "" };
    identities.people.idToken = await identities.cluster.sign({
      ...claims,
      iss: identities.people.url,
    });
    const url = `/auth/callback?code=a-code&state=${asked.get("state")}`;
    await fails(await browser.request("GET", url), 401, "RDEV_TOKEN");
  });

  it("fails in another browser, and after 10 minutes", async () => {
    mock.timers.enable({ apis: ["Date"], now: Date.now() });
    const asked = await start();
    const own = browser;
    browser = new Browser(service.app);
    await fails(await comeBack(asked), 400, "RDEV_SIGN_IN");
    browser = own;
    mock.timers.tick(601_000);
    await fails(await comeBack(asked), 400, "RDEV_SIGN_IN");
  });

  it("says that the person or the provider refused", async () => {
    const asked = await start();
    const denied = `/auth/callback?error=access_denied&state=${asked.get("state")}`;
    const answer = await browser.request("GET", denied);
    await fails(answer, 400, "RDEV_SIGN_IN");
    assert.match(answer.json<Problem>().detail, /refused by the provider \(access_denied\)/);
    const odd = `/auth/callback?error=<b>planted</b>&state=${(await start()).get("state")}`;
    assert.doesNotMatch((await browser.request("GET", odd)).body, /planted/);
  });

  it("returns only to a path of the service", async () => {
    for (const path of ["https://evil.example/", "//evil.example/", "/\\evil.example", "me"]) {
      const answer = await browser.request(
        "GET",
        `/auth/sign-in?return=${encodeURIComponent(path)}`,
      );
      assert.deepEqual(
        [answer.statusCode, answer.json<Problem>().code],
        [400, "RDEV_REQUEST"],
        path,
      );
    }
  });

  it("answers 503 while the provider is down", async () => {
    identities.people.status = 500;
    const answer = await browser.request("GET", "/auth/sign-in");
    assert.deepEqual([answer.statusCode, answer.json<Problem>().code], [503, "RDEV_ISSUER"]);
  });

  it("answers 503 if the provider fails during a sign-in", async () => {
    const asked = await start();
    identities.people.status = 500;
    await fails(await comeBack(asked), 503, "RDEV_ISSUER");
  });

  it("is limited for each address", async () => {
    await service.app.close();
    service = await fakeService({ limits: { unauthenticatedPerMinute: 2 } }, identities.options());
    browser = new Browser(service.app);
    await start();
    await start();
    assert.equal((await browser.request("GET", "/auth/sign-in")).statusCode, 429);
  });

  it("does not exist without its settings", async () => {
    await service.app.close();
    service = await fakeService();
    browser = new Browser(service.app);
    for (const path of ["/auth/sign-in", "/auth/callback"]) {
      assert.equal((await browser.request("GET", path)).statusCode, 404);
    }
    const me = await service.app.inject({
      url: "/auth/me",
      headers: bearer(service.key("viewer")),
    });
    assert.equal(me.json<{ actor: string }>().actor, "a-viewer");
  });

  it("leaves nothing of codes, tokens and cookies in logs, answers and the audit trail", async () => {
    const planted: string[] = [];
    const answers: string[] = [];
    const send = async (token: string) => {
      planted.push(token);
      const headers = bearer(token);
      for (const url of ["/auth/me", "/v1/audit", "/v1/projects/my-app"]) {
        answers.push((await service.app.inject({ url, headers })).body);
      }
    };
    await send(await identities.user({ groups: ["viewer"] }));
    await send(await identities.user({ groups: ["viewer"], aud: "another" }));
    await send(await identities.user({ exp: 1 }));
    await send(await identities.user({ iss: "https://planted-issuer.example" }));
    await send(await identities.serviceAccount("viewer"));
    await send(await identities.serviceAccount("stranger"));
    await send("cGxhbnRlZA.cGxhbnRlZA.cGxhbnRlZA");

    const signedIn = await comeBack(await start());
    assert.equal(signedIn.statusCode, 302, signedIn.body);
    answers.push(signedIn.body);
    planted.push(
      identities.people.idToken,
      ...browser.cookie.split("; ").map((one) => one.split("=")[1]!),
    );
    answers.push((await browser.request("DELETE", "/v1/projects/my-app", { origin: ORIGIN })).body);
    answers.push((await comeBack(await start(), { nonce: "forged" })).body);
    planted.push(identities.people.idToken);
    answers.push((await browser.request("GET", "/auth/callback?code=planted-code&state=x")).body);
    identities.people.status = 500;
    await send(await identities.user({ groups: ["viewer"] }));
    await service.app.close();

    const { lines, audit } = service;
    assert.ok(lines.length > 20 && audit.length > 3);
    const text = [...answers, ...lines, ...audit].map((one) => JSON.stringify(one)).join("\n");
    assert.doesNotMatch(text, /planted|cGxhbnRlZA/);
    // Each part of a token, because one part alone may be reused.
    const parts = planted.flatMap((token) => token.split(".")).filter((part) => part.length > 20);
    assert.ok(parts.length > 20);
    assert.deepEqual(new Secrets(Object.fromEntries(parts.map((one) => [one, one]))).in(text), []);
  });
});
