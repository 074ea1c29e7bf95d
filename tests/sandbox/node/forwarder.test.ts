import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server } from "node:net";
import { text } from "node:stream/consumers";
import { createForwarder, type Forwarder } from "../../../sandbox/node/forwarder.ts";

/** On Linux, all of 127.0.0.0/8 is this machine. */
const ADDRESS = "127.0.0.2";

describe("forwarder", function () {
  before(function () {
    if (process.platform !== "linux") this.skip();
  });

  let forwarder: Forwarder;
  let server: Server | undefined;
  beforeEach(() => (forwarder = createForwarder(ADDRESS)));
  afterEach(async () => {
    await forwarder.close();
    server?.close();
  });

  /** A server that answers, after its client's last byte, with what it got. Returns its URL. */
  async function echo(): Promise<URL> {
    server = createServer({ allowHalfOpen: true }, (client) => {
      text(client).then(
        (got) => client.end(`got ${got}`),
        () => undefined,
      );
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    return new URL(`http://user:secret@127.0.0.1:${port}/path`);
  }

  const client = ({ hostname, port }: URL) =>
    connect({ host: hostname, port: Number(port), allowHalfOpen: true });

  it("passes both directions on, also after one of them ended", async () => {
    const url = new URL(await forwarder.forward((await echo()).href));
    const socket = client(url);
    socket.end("a question");
    assert.equal(await text(socket), "got a question");
  });

  it("changes only the host of a URL, and forwards a port once", async () => {
    const { href, port } = await echo();
    const expected = `http://user:secret@${ADDRESS}:${port}/path`;
    const urls = await Promise.all([forwarder.forward(href), forwarder.forward(href)]);
    assert.deepEqual(urls, [expected, expected]);
    assert.equal(await forwarder.forward(expected), expected);
  });

  it("ends the connection of a client when the server does not listen any more", async () => {
    const url = new URL(await forwarder.forward((await echo()).href));
    server?.close();
    await once(server ?? assert.fail(), "close");
    await assert.rejects(text(client(url)), { code: "ECONNRESET" });
  });

  it("ends all connections when it is closed", async () => {
    const url = new URL(await forwarder.forward((await echo()).href));
    const socket = client(url);
    await once(socket, "connect");
    socket.write("more will follow");
    await once(server ?? assert.fail(), "connection");
    void forwarder.close();
    socket.resume();
    await once(socket, "close").catch(({ code }: NodeJS.ErrnoException) =>
      assert.equal(code, "ECONNRESET"),
    );
    const late = client(url);
    await assert.rejects(once(late, "connect"), { code: "ECONNREFUSED" });
  });
});
