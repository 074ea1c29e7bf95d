import assert from "node:assert/strict";
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { ApiError, begin, call, fetchFile, whenSignedOut } from "../../page/lib/api.ts";
import { pastedKey } from "../../page/lib/session.ts";

describe("the page's calls of the API", () => {
  let server: Server;
  let answer: RequestListener;
  const { fetch } = globalThis;
  const storage = Object.getOwnPropertyDescriptor(globalThis, "sessionStorage");

  before(async () => {
    server = createServer((request, response) => answer(request, response));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    globalThis.fetch = (path, init) => {
      assert.ok(typeof path === "string");
      return fetch(`http://127.0.0.1:${port}${path}`, init);
    };
    const items = new Map<string, string>();
    Object.defineProperty(globalThis, "sessionStorage", {
      configurable: true,
      value: {
        getItem: (name: string) => items.get(name) ?? null,
        setItem: (name: string, value: string) => void items.set(name, value),
        removeItem: (name: string) => void items.delete(name),
      },
    });
  });

  after(() => {
    globalThis.fetch = fetch;
    if (storage) Object.defineProperty(globalThis, "sessionStorage", storage);
    else Reflect.deleteProperty(globalThis, "sessionStorage");
    server.closeAllConnections();
    server.close();
  });

  afterEach(() => {
    pastedKey.remove();
    whenSignedOut(() => undefined);
  });

  const refused = (code: string) => (error: unknown) => {
    assert.ok(error instanceof ApiError, String(error));
    assert.equal(error.code, code);
    assert.deepEqual(error.items, []);
    return true;
  };

  it("report a connection that is lost within the answer", async () => {
    answer = (request, response) => {
      response.writeHead(200, { "content-length": "100" });
      response.write(`{"items":`, () => request.socket.destroy());
    };
    await assert.rejects(call("GET", "/v1/projects"), refused("RDEV_UNREACHABLE"));
    await assert.rejects(fetchFile("/v1/file", {}), refused("RDEV_UNREACHABLE"));
  });

  it("forget a pasted key that the service refuses, and ask for another sign-in", async () => {
    answer = (_request, response) => {
      response.writeHead(401, { "content-type": "application/problem+json" });
      response.end(JSON.stringify({ code: "RDEV_UNAUTHORIZED", detail: "unknown key" }));
    };
    let count = 0;
    whenSignedOut(() => (count += 1));
    pastedKey.set("rdk_old");
    await assert.rejects(call("GET", "/v1/projects"), refused("RDEV_UNAUTHORIZED"));
    assert.deepEqual([pastedKey.get(), count], [null, 1]);
  });

  it("take the answer to a request that began before, once, and only with the key of that request", async () => {
    const asked: string[] = [];
    answer = ({ url, headers: { authorization } }, response) => {
      asked.push(`${url} ${authorization}`);
      response.end(JSON.stringify(asked.length));
    };
    pastedKey.set("rdk_one");
    await begin("/v1/projects", { limit: 50, search: "" });
    assert.equal(await call("GET", "/v1/projects", { query: { limit: 50 } }), 1);
    assert.equal(await call("GET", "/v1/projects", { query: { limit: 50 } }), 2);
    await begin("/auth/me");
    pastedKey.set("rdk_two");
    assert.equal(await call("GET", "/auth/me"), 4);
    assert.deepEqual(asked, [
      "/v1/projects?limit=50 Bearer rdk_one",
      "/v1/projects?limit=50 Bearer rdk_one",
      "/auth/me Bearer rdk_one",
      "/auth/me Bearer rdk_two",
    ]);
  });

  it("report a request that began before and got no answer", async () => {
    answer = (request) => request.socket.destroy();
    await assert.rejects(begin("/auth/me"), TypeError);
    await assert.rejects(call("GET", "/auth/me"), refused("RDEV_UNREACHABLE"));
  });

  it("keep the key of a newer sign-in when the answer to an older call arrives", async () => {
    let count = 0;
    whenSignedOut(() => (count += 1));
    pastedKey.set("rdk_old");
    answer = (_request, response) => {
      pastedKey.set("rdk_new");
      response.writeHead(401).end("{}");
    };
    await assert.rejects(call("GET", "/v1/projects"), ApiError);
    assert.deepEqual([pastedKey.get(), count], ["rdk_new", 0]);
  });
});
