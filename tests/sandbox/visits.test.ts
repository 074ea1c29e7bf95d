import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { startVisits, visit } from "../../sandbox/demo/visits.ts";

/** This machine in place of a node. */
const here = {
  enter: (command: string, args: readonly string[]): [string, ...string[]] => [command, ...args],
};

describe("the demo's client", () => {
  let server: Server;
  let url: string;
  let connections: number;

  beforeEach(async () => {
    connections = 0;
    server = createServer((request, response) => {
      response.statusCode = request.url === "/" ? 200 : 503;
      response.end("hello");
    });
    server.on("connection", () => (connections += 1));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterEach(() => void server.close());

  it("sends a number of requests, each on a connection of its own", async () => {
    const answers = await visit(here, { url: `${url}/`, perSecond: 100, count: 3 });
    assert.deepEqual(answers, Array(3).fill({ status: 200, body: "hello" }));
    assert.equal(connections, 3);
  });

  it("tells answers that are no page, and connections that are refused", async () => {
    const options = { perSecond: 1, count: 1 };
    assert.deepEqual(await visit(here, { url: `${url}/x`, ...options }), [
      { status: 503, body: "hello" },
    ]);
    server.close();
    await once(server, "close");
    assert.deepEqual(await visit(here, { url, ...options }), [{ error: "ECONNREFUSED" }]);
  });

  it("goes on until it is stopped", async () => {
    const visits = startVisits(here, { url: `${url}/`, perSecond: 50 });
    while (connections < 5) await once(server, "connection");
    const answers = await visits.stop();
    assert.ok(answers.length >= 5);
    assert.equal(answers.length, connections);
  });
});
