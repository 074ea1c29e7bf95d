import { setTimeout as sleep } from "node:timers/promises";
import fastify from "fastify";
import { Agent, request } from "undici";
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
  /** Asked about every request, as `GET /path?query`: what is to go wrong with it, if anything is. */
  decide(fault: (request: string) => Fault | undefined): void;
  /** Every request that arrived, as `GET /path?query`, oldest first. */
  readonly requests: readonly string[];
  close(): Promise<void>;
}

/** Refused with a status, reset before the real server sees it, or done there and never answered. */
export type Fault = { readonly status: number } | "reset" | "lost";

/** An HTTP proxy in front of a real server, which fails as it is told. */
export async function startFaultyProxy(target: string): Promise<FaultyProxy> {
  // Kubernetes has a certificate of its own making.
  const dispatcher = new Agent({ connect: { rejectUnauthorized: false } });
  const app = fastify({ logger: false, forceCloseConnections: true });
  const requests: string[] = [];
  let losing: { method: string; path: RegExp; left: number; afterMs: number } | undefined;
  app.addHook("onRequest", ({ method, url }, _reply, done) => {
    requests.push(`${method} ${url}`);
    done();
  });
  const misbehave = addMisbehaviour(app);
  let decide: (request: string) => Fault | undefined = () => undefined;
  const lost = new WeakSet<object>();
  app.addHook("onRequest", async ({ method, url, raw }, reply) => {
    const fault = decide(`${method} ${url}`);
    if (fault === "reset") {
      reply.hijack();
      raw.socket.resetAndDestroy();
    } else if (fault === "lost") lost.add(raw);
    else if (fault) await reply.code(fault.status).send("");
  });

  // Bodies pass as they are.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("*", { parseAs: "buffer" }, (_request, body, done) => done(null, body));

  app.all("/*", async ({ method, url, headers, body, raw }, reply) => {
    const answer = await request(target + url, {
      dispatcher,
      method: method as "GET",
      headers: { ...headers, connection: undefined },
      body: (body as Buffer | undefined) ?? null,
    });
    const content = Buffer.from(await answer.body.arrayBuffer());
    if (lost.has(raw)) {
      reply.hijack();
      raw.socket.resetAndDestroy();
      return;
    }
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
    decide: (fault) => {
      decide = fault;
    },
    requests,
    async close() {
      await app.close();
      await dispatcher.close();
    },
  };
}
