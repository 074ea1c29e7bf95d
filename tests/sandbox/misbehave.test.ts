import assert from "node:assert/strict";
import type { FastifyInstance } from "fastify";
import { request } from "undici";
import type { Misbehave } from "../../sandbox/misbehave.ts";
import { createStandIn, listen } from "../../sandbox/stand-in.ts";

describe("faults on demand", () => {
  let app: FastifyInstance;
  let misbehave: Misbehave;
  let url: string;
  let served: number;

  beforeEach(async () => {
    ({ app, misbehave } = createStandIn());
    served = 0;
    app.all("/*", async () => {
      served += 1;
      return "well";
    });
    url = await listen(app);
  });
  afterEach(() => app.close());

  async function call(path = "/", method: "GET" | "POST" = "GET") {
    const answer = await request(`${url}${path}`, { method });
    return { status: answer.statusCode, headers: answer.headers, text: await answer.body.text() };
  }

  it("answers with the fault's status, headers and body, without the handler", async () => {
    misbehave({ status: 429, headers: { "retry-after": "2" }, body: '{"error":"slow down"}' });
    const answer = await call();
    assert.equal(answer.status, 429);
    assert.equal(answer.headers["retry-after"], "2");
    assert.equal(answer.text, '{"error":"slow down"}');
    assert.equal(served, 0);
  });

  it("stops after the given number of requests", async () => {
    misbehave({ status: 502, times: 2 });
    const statuses = [await call(), await call(), await call()].map(({ status }) => status);
    assert.deepEqual(statuses, [502, 502, 200]);
  });

  it("stops when the fault is removed", async () => {
    misbehave({ status: 503 });
    assert.equal((await call()).status, 503);
    misbehave(undefined);
    assert.equal((await call()).status, 200);
  });

  it("affects and counts only requests that match method and path", async () => {
    misbehave({ match: { method: "post", path: /^\/api\/repos$/g }, status: 500, times: 2 });
    assert.equal((await call("/api/repos")).status, 200);
    assert.equal((await call("/api/other", "POST")).status, 200);
    assert.equal((await call("/api/repos?id=1", "POST")).status, 500);
    assert.equal((await call("/api/repos", "POST")).status, 500);
    assert.equal((await call("/api/repos", "POST")).status, 200);
  });

  it("resets the connection", async () => {
    misbehave({ reset: true, times: 1 });
    await assert.rejects(call(), { code: "ECONNRESET" });
    assert.equal(served, 0);
    assert.equal((await call()).status, 200);
  });

  it("cuts an answer in half, after the handler has run", async () => {
    misbehave({ truncate: true, times: 1 });
    await assert.rejects(call(), /other side closed|terminated|ECONNRESET|socket/i);
    assert.equal(served, 1);
    assert.equal((await call()).text, "well");
  });

  it("also cuts an answer of the fault itself", async () => {
    misbehave({ truncate: true, status: 200, body: '{"entries":[]}', times: 1 });
    await assert.rejects(call(), /other side closed|terminated|ECONNRESET|socket/i);
    assert.equal(served, 0);
  });

  it("delays the real answer", async () => {
    misbehave({ delayMs: 60 });
    const started = performance.now();
    assert.equal((await call()).text, "well");
    assert.ok(performance.now() - started >= 55);
  });

  it("does not delay shutdown", async () => {
    misbehave({ delayMs: 60_000 });
    const waiting = assert.rejects(call());
    while (app.server.listening && (await connections()) === 0) await new Promise(setImmediate);
    await app.close();
    await waiting;
  });

  const connections = () =>
    new Promise<number>((resolve, reject) => {
      app.server.getConnections((error, count) => (error ? reject(error) : resolve(count)));
    });
});
