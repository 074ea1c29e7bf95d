import fastify from "fastify";
import { request } from "undici";
import { z } from "zod";

/** A proxy for Citadel that records which lines it accepts. */
export interface IngestProxy {
  readonly url: string;
  /** The messages of the accepted lines, by the tenant of their request. */
  readonly accepted: ReadonlyMap<string, ReadonlySet<string>>;
  close(): Promise<void>;
}

const batchSchema = z.array(z.object({ message: z.string() }));

/** Starts the proxy on an address of this machine. */
export async function startIngestProxy(citadelUrl: string, host: string): Promise<IngestProxy> {
  const accepted = new Map<string, Set<string>>();
  const app = fastify({ logger: false, forceCloseConnections: true, bodyLimit: 8 * 2 ** 20 });
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("*", { parseAs: "string" }, (_request, body, done) => done(null, body));
  app.all<{ Body: string | undefined }>("/*", async ({ method, url, headers, body }, reply) => {
    const answer = await request(new URL(url, citadelUrl), {
      method,
      headers: { ...headers, connection: undefined },
      body: body ?? null,
    });
    const text = await answer.body.text();
    const tenant = headers["x-tenant-id"];
    if (url === "/api/v1/ingest" && answer.statusCode < 300 && typeof tenant === "string") {
      const messages = accepted.get(tenant) ?? new Set();
      accepted.set(tenant, messages);
      for (const { message } of batchSchema.parse(JSON.parse(body ?? ""))) messages.add(message);
    }
    const type = answer.headers["content-type"];
    if (type !== undefined) void reply.header("content-type", type);
    return reply.code(answer.statusCode).send(text);
  });
  return {
    url: await app.listen({ host, port: 0 }),
    accepted,
    close: () => app.close(),
  };
}
