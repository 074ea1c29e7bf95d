import { randomBytes } from "node:crypto";
import fastify from "fastify";
import { request } from "undici";

interface KeyProxy {
  /** Without a trailing slash. */
  readonly url: string;
  /** The only accepted key. */
  readonly key: string;
  /** Replaces the accepted key. */
  rotate(): void;
  close(): Promise<void>;
}

/** The name and value of the header that carries the key. */
export type KeyHeader = (key: string) => readonly [name: string, value: string];

/**
 * A proxy for an HTTP server that cannot change its key while it runs. Callers must send the proxy's
 * key, and the server gets its own.
 */
export async function startKeyProxy(
  target: string,
  serverKey: string,
  header: KeyHeader,
  prefix = "",
): Promise<KeyProxy> {
  const make = () => `${prefix}${randomBytes(16).toString("hex")}`;
  let key = make();
  const app = fastify({ logger: false, forceCloseConnections: true });
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("*", { parseAs: "buffer" }, (_request, body, done) => done(null, body));
  app.all("/*", async ({ method, url, headers, body }, reply) => {
    const [name, shown] = header(key);
    if (headers[name] !== shown) return reply.code(401).send("no such key");
    const answer = await request(target + url, {
      method: method as "GET",
      headers: { ...headers, connection: undefined, [name]: header(serverKey)[1] },
      body: (body as Buffer | undefined) ?? null,
    });
    delete answer.headers["connection"];
    delete answer.headers["transfer-encoding"];
    return reply
      .code(answer.statusCode)
      .headers(answer.headers)
      .send(Buffer.from(await answer.body.arrayBuffer()));
  });
  return {
    url: await app.listen({ host: "127.0.0.1", port: 0 }),
    get key() {
      return key;
    },
    rotate: () => (key = make()),
    close: () => app.close(),
  };
}
