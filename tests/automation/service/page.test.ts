import assert from "node:assert/strict";
import { hash } from "node:crypto";
import { brotliDecompressSync, gunzipSync } from "node:zlib";
import { init, parse } from "es-module-lexer";
import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { PAGE_VIEWS } from "../../../core/page-views.ts";
import { fakeService } from "../../support/fake-service.ts";

const importMap = z.object({ imports: z.record(z.string(), z.string()) });

describe("the page's files", () => {
  let app: FastifyInstance;
  let document: string;

  before(async () => {
    await init();
    ({ app } = await fakeService());
    document = (await app.inject("/")).body;
  });

  after(() => app.close());

  it("are the same document for every view, without sign-in", async () => {
    const paths = PAGE_VIEWS.flatMap((view) => [`/${view}`, `/${view}/a/b?c=d`]);
    for (const path of ["/", ...paths]) {
      const answer = await app.inject(path);
      assert.equal(answer.statusCode, 200, path);
      assert.equal(answer.body, document, path);
      assert.match(String(answer.headers["content-type"]), /^text\/html/);
    }
    assert.equal((await app.inject("/v1/unknown")).statusCode, 404);
    assert.equal((await app.inject("/unknown")).statusCode, 404);
  });

  it("come with a policy that allows the import map and no other inline script", async () => {
    const { headers } = await app.inject("/");
    const policy = String(headers["content-security-policy"]);
    const inline = [...document.matchAll(/<script[^>]*>([^<]+)<\/script>/g)].map(
      ([, text]) => text,
    );
    assert.equal(inline.length, 1);
    assert.ok(
      policy.includes(`script-src 'self' 'sha256-${hash("sha256", inline[0]!, "base64")}';`),
    );
    assert.ok(policy.startsWith("default-src 'none';"), policy);
    assert.doesNotMatch(policy, /unsafe|https?:|\*/);
    assert.doesNotMatch(document, /https?:|\son\w+=|style=/);
  });

  it("can be kept forever, because their address changes with their content", async () => {
    const addresses = [...document.matchAll(/(?:href|src)="([^"]+)"/g)].map(([, url]) => url!);
    assert.ok(addresses.length > 10);
    for (const url of addresses) {
      const { statusCode, headers, body } = await app.inject(url);
      assert.equal(statusCode, 200, url);
      assert.equal(headers["cache-control"], "public, max-age=31536000, immutable");
      assert.doesNotMatch(body, /^import type /m);
    }
    const { headers } = await app.inject("/");
    assert.equal(headers["cache-control"], "no-cache");
    const again = await app.inject({
      url: "/",
      headers: { "if-none-match": String(headers.etag) },
    });
    assert.equal(again.statusCode, 304);
  });

  it("are preloaded in the document: exactly the modules that the first view imports", async () => {
    const [, map = ""] = /<script type="importmap">(.+?)<\/script>/.exec(document) ?? [];
    const { imports } = importMap.parse(JSON.parse(map));
    const [, entry] = /<script type="module" src="(.+?)">/.exec(document) ?? [];
    const [, start] = /<script type="module" async src="(.+?)">/.exec(document) ?? [];
    const needed = new Set([entry!, start!]);
    for (const url of needed) {
      const { body } = await app.inject(url);
      for (const { type, specifier } of parse(body)[0]) {
        if (type !== "static") continue;
        const name = String(specifier);
        needed.add(imports[name] ?? new URL(name, new URL(url, "http://localhost")).pathname);
      }
    }
    const preloads = [...document.matchAll(/<link rel="modulepreload" href="(.+?)"/g)];
    assert.deepEqual(preloads.map(([, url]) => url).sort(), [...needed].sort());
  });

  it("are compressed for browsers that accept it", async () => {
    const load = (encoding: string) =>
      app.inject({ url: "/", headers: { "accept-encoding": encoding } });
    const br = await load("gzip, deflate, br");
    assert.equal(br.headers["content-encoding"], "br");
    assert.equal(brotliDecompressSync(br.rawPayload).toString(), document);
    const gzip = await load("gzip, deflate");
    assert.equal(gzip.headers["content-encoding"], "gzip");
    assert.equal(gunzipSync(gzip.rawPayload).toString(), document);
    assert.equal((await load("")).headers["content-encoding"], undefined);
  });

  it("are only those that the page imports", async () => {
    const [, base] = /(\/assets\/\w+)\/page\/main\.ts/.exec(document) ?? [];
    const paths = [
      "core/connections.ts",
      "page/tsconfig.json",
      "package.json",
      "../package.json",
      "..%2fpackage.json",
      "page/../package.json",
      "node_modules/fastify/fastify.js",
    ];
    for (const path of paths) {
      assert.equal((await app.inject(`${base}/${path}`)).statusCode, 404, path);
    }
    assert.equal((await app.inject("/assets/0123456789abcdef/page/main.ts")).statusCode, 404);
  });

  it("need less than 150 kB for the first view", async () => {
    const addresses = [...document.matchAll(/(?:href|src)="([^"]+)"/g)].map(([, url]) => url!);
    let bytes = 0;
    for (const url of new Set(["/", ...addresses])) {
      const { rawPayload } = await app.inject({ url, headers: { "accept-encoding": "gzip" } });
      bytes += rawPayload.length;
    }
    assert.ok(bytes < 150_000, `${bytes} bytes`);
  });
});
