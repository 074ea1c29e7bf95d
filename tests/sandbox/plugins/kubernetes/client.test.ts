import assert from "node:assert/strict";
import { createServer, type RequestListener } from "node:http";
import { UnreachableError } from "../../../../sandbox/plugins/kubernetes/api-error.ts";
import { makeClient, type Request } from "../../../../sandbox/plugins/kubernetes/client.ts";
import { freePort } from "../../../support/free-port.ts";

describe("the client of the plugin for Kubernetes", () => {
  let port: number;
  let asked: number;
  const clientOf = () =>
    makeClient({
      server: `http://127.0.0.1:${port}`,
      namespace: "default",
      tls: { rejectUnauthorized: true },
      authorization: () => undefined,
    });
  const whileServed = async (answer: RequestListener, work: () => Promise<void>) => {
    const server = createServer(answer).listen(port, "127.0.0.1");
    await work().finally(() => {
      server.closeAllConnections();
      server.close();
    });
  };
  const get: Request = { method: "GET", path: "/" };
  const post: Request = { method: "POST", path: "/", body: {} };

  beforeEach(async () => {
    port = await freePort();
    asked = 0;
  });

  it("asks again after a lost connection, but repeats no POST that may have had an effect", async () => {
    const client = await clientOf();
    const resetOnce: RequestListener = (request, response) => {
      asked += 1;
      if (asked === 1) request.socket.resetAndDestroy();
      else response.end("{}");
    };
    await whileServed(resetOnce, async () => {
      await assert.rejects(client.send(post), UnreachableError);
      assert.equal(asked, 1);
      asked = 0;
      assert.deepEqual(await client.send(get), {});
      assert.equal(asked, 2);
    });
  });

  it("asks again while no server listens, by POST as well", async () => {
    const client = await clientOf();
    const answers = [get, post].map((request) => client.send(request));
    // The first attempts are sent before the server listens, so they are refused.
    await new Promise(setImmediate);
    await whileServed(
      (_request, response) => void response.end("{}"),
      async () => assert.deepEqual(await Promise.all(answers), [{}, {}]),
    );
  });
});
