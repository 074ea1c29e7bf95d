import fastify from "fastify";
import { addMisbehaviour, type Misbehave } from "../../sandbox/misbehave.ts";

export interface TakenEvent {
  readonly message: string;
  readonly level: string;
  readonly timestamp: string;
  readonly service: string;
  readonly environment: string;
  readonly target: string;
  readonly fields: Record<string, unknown> & { readonly k8s: Record<string, string> };
}

/** Replaces Citadel where a test counts every event. */
export interface Sink {
  readonly url: string;
  readonly misbehave: Misbehave;
  /** By the tenant of the request's header, in the order of arrival. */
  readonly taken: ReadonlyMap<string, readonly TakenEvent[]>;
  readonly requests: { readonly tenant: string; readonly bytes: number; readonly status: number }[];
  /** The valid key; any other is answered 401. */
  key: string;
  /** Tenants whose events are answered 503. */
  readonly refused: Set<string>;
  messages(tenant: string): readonly string[];
  close(): Promise<void>;
}

export async function startSink(key: string): Promise<Sink> {
  const app = fastify({ logger: false, forceCloseConnections: true, bodyLimit: 4 * 2 ** 20 });
  const taken = new Map<string, TakenEvent[]>();
  const requests: { tenant: string; bytes: number; status: number }[] = [];
  app.addHook("onResponse", ({ headers }, { statusCode }, done) => {
    requests.push({
      tenant: String(headers["x-tenant-id"]),
      bytes: Number(headers["content-length"]),
      status: statusCode,
    });
    done();
  });
  const misbehave = addMisbehaviour(app);
  app.post("/api/v1/ingest", async ({ headers, body }, reply) => {
    if (headers.authorization !== `Bearer ${sink.key}`) return reply.code(401).send({});
    const tenant = String(headers["x-tenant-id"]);
    if (sink.refused.has(tenant)) return reply.code(503).send({});
    const events = taken.get(tenant) ?? [];
    taken.set(tenant, events);
    events.push(...(body as TakenEvent[]));
    return reply.code(202).send({});
  });
  const sink: Sink = {
    url: await app.listen({ host: "127.0.0.1", port: 0 }),
    misbehave,
    taken,
    requests,
    key,
    refused: new Set(),
    messages: (tenant) => (taken.get(tenant) ?? []).map(({ message }) => message),
    close: () => app.close(),
  };
  return sink;
}
