import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { request } from "undici";
import { forward } from "../../../sandbox/pipelines/forward.ts";

describe("a server under the name and port that pipelines know", () => {
  it("answers there, twice at the same time on addresses of their own", async () => {
    const server = createServer((_, response) => response.end("here"));
    server.listen({ host: "127.0.0.1", port: 0 });
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const to = new URL(`http://127.0.0.1:${port}`);
    const from = new URL(`http://api.example.com:${port}`);
    const forwarders = await Promise.all([forward(from, to), forward(from, to)]);
    try {
      const addresses = forwarders.map(({ hostsLine }) => hostsLine.split(" "));
      assert.deepEqual(
        addresses.map(([, name]) => name),
        ["api.example.com", "api.example.com"],
      );
      assert.equal(new Set(addresses.map(([address]) => address)).size, 2);
      for (const [address = ""] of addresses) {
        assert.ok(address.startsWith("127."));
        const answer = await request(`http://${address}:${port}`, { reset: true });
        assert.equal(await answer.body.text(), "here");
      }
    } finally {
      await Promise.all(forwarders.map((one) => one.close()));
      server.close();
      server.closeAllConnections();
    }
  });
});
