import { setTimeout as sleep } from "node:timers/promises";
import fastify from "fastify";
import { request } from "undici";
import { Citadel } from "../../providers/citadel/client.ts";
import { startCitadel } from "../../sandbox/citadel/server.ts";

export interface IngestRecorder {
  /** The variables that a process needs to ship to it. */
  readonly variables: Readonly<Record<string, string>>;
  /** The stand-in's address, without the proxy. */
  readonly directUrl: string;
  /** All accepted forms of each event by its id, in the order of first arrival. */
  readonly events: ReadonlyMap<number, readonly string[]>;
  /** Resolves when the next batch is accepted. */
  taken(): Promise<void>;
  close(): Promise<void>;
}

/**
 * The stand-in for Citadel behind a proxy that records every accepted event, and delays the answer by
 * up to `pause` ms. Default: 40.
 */
export async function startIngestRecorder({ pause = 40 } = {}): Promise<IngestRecorder> {
  const standIn = await startCitadel({ organization: "orchard9" });
  const citadel = new Citadel({ url: standIn.url, apiKey: standIn.apiKey });
  const organization = "orchard9";
  const environment = { slug: "rdev-platform", name: "rdev", organization, metadata: {} };
  const { id: tenant } = await citadel.environments.create(environment);

  const events = new Map<number, string[]>();
  let waiting: (() => void)[] = [];
  const app = fastify({ logger: false, forceCloseConnections: true, bodyLimit: 2 ** 24 });
  app.post("/api/v1/ingest", async (incoming, reply) => {
    const batch = incoming.body as { fields: { event_id: number } }[];
    const answer = await request(`${standIn.url}/api/v1/ingest`, {
      method: "POST",
      headers: {
        authorization: incoming.headers.authorization,
        "x-tenant-id": incoming.headers["x-tenant-id"],
        "content-type": "application/json",
      },
      body: JSON.stringify(batch),
    });
    const text = await answer.body.text();
    if (answer.statusCode < 300) {
      for (const event of batch) {
        const { event_id: id } = event.fields;
        events.set(id, [...(events.get(id) ?? []), JSON.stringify(event)]);
      }
      for (const resolve of waiting) resolve();
      waiting = [];
      // A kill in this pause means that the event was stored, but the shipper does not know it.
      if (pause > 0) await sleep(Math.random() * pause);
    }
    return reply.code(answer.statusCode).type("application/json").send(text);
  });
  const url = await app.listen({ host: "127.0.0.1", port: 0 });
  return {
    variables: { CITADEL_URL: url, CITADEL_API_KEY: standIn.apiKey, CITADEL_TENANT_ID: tenant },
    directUrl: standIn.url,
    events,
    taken: () => new Promise((resolve) => waiting.push(resolve)),
    async close() {
      await app.close();
      await standIn.close();
    },
  };
}
