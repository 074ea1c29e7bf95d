import assert from "node:assert/strict";
import fastify, { type FastifyInstance } from "fastify";
import { request } from "undici";
import { startWoodpecker, type Woodpecker } from "../../sandbox/woodpecker/server.ts";

const GITEA_TOKEN = "gitea-token-that-nobody-may-see";

/** What does not need a Gitea that works; the rest is in woodpecker.sandbox.test.ts. */
describe("the stand-in for Woodpecker", () => {
  let brokenGitea: FastifyInstance;
  let woodpecker: Woodpecker;

  beforeEach(async () => {
    brokenGitea = fastify({ forceCloseConnections: true });
    brokenGitea.all("/*", async (asked, reply) =>
      reply.code(500).send({ message: `no: ${String(asked.headers.authorization)}` }),
    );
    const url = await brokenGitea.listen({ host: "127.0.0.1", port: 0 });
    woodpecker = await startWoodpecker({ gitea: { url, token: GITEA_TOKEN }, token: "wp-token" });
  });
  afterEach(() => Promise.all([woodpecker.close(), brokenGitea.close()]));

  async function call(method: "GET" | "POST", path: string, authorization?: string) {
    const headers = authorization === undefined ? {} : { authorization };
    const answer = await request(`${woodpecker.url}${path}`, { method, headers });
    return { status: answer.statusCode, text: await answer.body.text() };
  }

  it("tells its health and its version to anybody", async () => {
    assert.deepEqual(await call("GET", "/healthz"), { status: 204, text: "" });
    const version = await call("GET", "/version");
    assert.equal(version.status, 200);
    assert.match((JSON.parse(version.text) as { version: string }).version, /^3\./);
  });

  it("refuses every other call without the token, or with a wrong one", async () => {
    const calls = ["/api/user", "/api/repos/1", "/api/repos/lookup/a/b", "/api/repos/1/secrets"];
    for (const path of calls) {
      for (const authorization of [undefined, "Bearer wrong", "wp-token", "token wp-token"]) {
        assert.deepEqual(await call("GET", path, authorization), {
          status: 401,
          text: "User not authorized",
        });
      }
    }
  });

  it("makes a token of its own where none is given", async () => {
    const gitea = { url: "http://127.0.0.1:1", token: GITEA_TOKEN };
    const [one, two] = await Promise.all([startWoodpecker({ gitea }), startWoodpecker({ gitea })]);
    assert.notEqual(one.token, two.token);
    await Promise.all([one.close(), two.close()]);
  });

  it("answers 500 while Gitea fails, and nothing of Gitea's token or answer", async () => {
    const activated = await call("POST", "/api/repos?forge_remote_id=1", "Bearer wp-token");
    assert.deepEqual(activated, {
      status: 500,
      text: "Could not fetch repository from forge.",
    });
    assert.deepEqual(await call("GET", "/api/user", "Bearer wp-token"), { status: 500, text: "" });
  });

  it("answers 400 to ids that are no numbers, 404 to those it does not know", async () => {
    assert.equal((await call("GET", "/api/repos/abc", "Bearer wp-token")).status, 400);
    assert.equal((await call("GET", "/api/repos/7", "Bearer wp-token")).status, 404);
    assert.equal((await call("GET", "/api/repos/lookup/a/b", "Bearer wp-token")).status, 404);
    assert.equal((await call("POST", "/api/repos", "Bearer wp-token")).status, 400);
  });

  it("misbehaves on demand", async () => {
    woodpecker.misbehave({ status: 429, headers: { "retry-after": "1" }, times: 1 });
    assert.equal((await call("GET", "/healthz")).status, 429);
    assert.equal((await call("GET", "/healthz")).status, 204);
  });
});
