import assert from "node:assert/strict";
import { createServer } from "node:net";
import { once } from "node:events";
import { reservePorts } from "../../sandbox/ports.ts";

describe("ports", () => {
  it("reserves free ports, and never the same for a second sandbox", async () => {
    const first = await reservePorts();
    const second = await reservePorts();
    try {
      const ports = [first, second].flatMap((all) => Array.from({ length: 12 }, () => all.take()));
      assert.equal(new Set(ports).size, 24);
      const server = createServer().listen(ports[0], "127.0.0.1");
      await once(server, "listening");
      server.close();
    } finally {
      first.release();
      second.release();
    }
  });
});
