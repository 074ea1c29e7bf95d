import assert from "node:assert/strict";
import { Agent, get, type IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import { buffer } from "node:stream/consumers";
import { until } from "../../../sandbox/process.ts";
import { bearer, fakeService, PROJECT } from "../../support/fake-service.ts";

const LOGGING = { ...PROJECT, citadelTenantId: "tenant" };
const URL = `/v1/projects/${PROJECT.slug}/logs/download`;

describe("a download of logs", () => {
  it("disconnects a caller that does not read", async () => {
    const entry = { id: "1", level: "info", service: "my-app", metadata: {} };
    const big = { ...entry, timestamp: new Date().toISOString(), message: "x".repeat(100_000) };
    async function* endless() {
      for (;;) yield big;
    }
    const stalling = await fakeService({
      logs: { download: async () => endless() } as never,
      projects: { find: async () => LOGGING } as never,
      limits: { downloadsPerKey: 1, idleStreamMs: 200, shutdownGraceMs: 100 },
    });
    const address = await stalling.app.listen({ host: "127.0.0.1", port: 0 });
    const viewer = bearer(stalling.key("viewer"));
    const stalled = await fetch(address + URL, { headers: viewer });
    assert.equal(stalled.status, 200);
    await until(async () => {
      const next = await fetch(address + URL, { headers: viewer });
      await next.body?.cancel();
      assert.equal(next.status, 200);
    });
    await assert.rejects(stalled.text());
    await stalling.app.close();
  });

  it("leaves nothing behind on a connection that is kept", async () => {
    const service = await fakeService({
      logs: { download: async () => (async function* () {})() } as never,
      projects: { find: async () => LOGGING } as never,
    });
    const sockets: Socket[] = [];
    service.app.server.on("connection", (socket) => void sockets.push(socket));
    const address = await service.app.listen({ host: "127.0.0.1", port: 0 });
    const options = {
      agent: new Agent({ keepAlive: true, maxSockets: 1 }),
      headers: bearer(service.key("viewer")),
    };
    const download = async () => {
      const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
      get(address + URL, options, resolve).on("error", reject);
      await buffer(await promise);
      return sockets[0]?.listenerCount("timeout");
    };
    try {
      const before = await download();
      await download();
      assert.equal(await download(), before);
      assert.equal(sockets.length, 1);
    } finally {
      options.agent.destroy();
      await service.app.close();
    }
  });
});
