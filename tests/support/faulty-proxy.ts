import { setTimeout as sleep } from "node:timers/promises";
import fastify from "fastify";
import { request } from "undici";
import { addMisbehaviour, type Misbehave } from "../../sandbox/misbehave.ts";

export interface FaultyProxy {
  /** Without a slash at its end. */
  readonly url: string;
  /** Faults that come before the real server sees the request. */
  readonly misbehave: Misbehave;
  /**
   * The next `times` requests of this method and path reach the real server, but the connection is
   * reset in place of its answer, at once or after so many ms: the caller cannot know whether it was
   * done.
   */
  loseAnswers(method: string, path?: RegExp, times?: number, afterMs?: number): void;
  /** Every request that arrived, as `GET /path?query`, oldest first. */
  readonly requests: readonly string[];
  close(): Promise<void>;
}

/** An HTTP proxy in front of a real server, which fails as it is told. */
export async function startFaultyProxy(target: string): Promise<FaultyProxy> {
  const app = fastify({ logger: false, forceCloseConnections: true });
  const requests: string[] = [];
  let losing: { method: string; path: RegExp; left: number; afterMs: number } | undefined;
  app.addHook("onRequest", ({ method, url }, _reply, done) => {
    requests.push(`${method} ${url}`);
    done();
  });
  const misbehave = addMisbehaviour(app);

  // Bodies pass as they are.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("*", { parseAs: "buffer" }, (_request, body, done) => done(null, body));

  app.all("/*", async ({ method, url, headers, body, raw }, reply) => {
    const answer = await request(target + url, {
      method: method as "GET",
      headers: { ...headers, connection: undefined },
      body: (body as Buffer | undefined) ?? null,
    });
    const content = Buffer.from(await answer.body.arrayBuffer());
    if (losing?.method === method && losing.left > 0 && url.search(losing.path) >= 0) {
      losing.left -= 1;
      reply.hijack();
      if (losing.afterMs > 0) await sleep(losing.afterMs);
      raw.socket.resetAndDestroy();
      return;
    }
    // Of this connection, not of the answer.
    delete answer.headers["connection"];
    delete answer.headers["transfer-encoding"];
    return reply.code(answer.statusCode).headers(answer.headers).send(content);
  });

  const url = await app.listen({ host: "127.0.0.1", port: 0 });
  return {
    url,
    misbehave,
    loseAnswers: (method, path = /^/, times = 1, afterMs = 0) => {
      losing = { method, path, left: times, afterMs };
    },
    requests,
    close: () => app.close(),
  };
}
