import { setTimeout as sleep } from "node:timers/promises";
import fastify from "fastify";
import { Agent, request } from "undici";
import { addMisbehaviour, type Misbehave } from "../../sandbox/misbehave.ts";

export interface FaultyProxy {
  /** Without a trailing slash. */
  readonly url: string;
  /** Adds faults that occur before the real server gets the request. */
  readonly misbehave: Misbehave;
  /**
   * The next `times` requests of this method and path reach the real server, but the connection is
   * reset instead of the answer, immediately or after some ms. So the caller cannot know whether the
   * request succeeded.
   */
  loseAnswers(method: string, path?: RegExp, times?: number, afterMs?: number): void;
  /** Sets a function that chooses the fault of each request, such as `GET /path?query`. */
  decide(fault: (request: string) => Fault | undefined): void;
  /** All requests, such as `GET /path?query`, oldest first. */
  readonly requests: readonly string[];
  close(): Promise<void>;
}

/** A status, a reset before the real server gets the request, or a lost answer of the real server. */
export type Fault = { readonly status: number } | "reset" | "lost";

/** An HTTP proxy in front of a real server that injects faults. */
export async function startFaultyProxy(target: string): Promise<FaultyProxy> {
  // Kubernetes has a self-signed certificate.
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

  // Bodies are passed unchanged.
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
    // This header belongs to the connection, not to the answer.
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
