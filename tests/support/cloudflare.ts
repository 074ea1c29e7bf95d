import type { FastifyReply } from "fastify";
import { createStandIn, listen, type StandIn } from "../../sandbox/stand-in.ts";

export interface CloudflareRecord {
  readonly id: string;
  readonly name: string;
  readonly type: string;
  readonly content: string;
  readonly ttl: number;
  readonly comment?: string | null;
  readonly proxied?: boolean;
}

export interface FakeCloudflare extends StandIn {
  /** By id, in the order of their creation. */
  readonly records: Map<string, CloudflareRecord>;
}

const ZONE_ID = "023e105f4ecef8ad9ca31a8372d0c353";

/**
 * A stand-in for Cloudflare, with one zone and one token. It answers the calls that are used as in the
 * documentation (https://developers.cloudflare.com/api/resources/dns).
 */
export async function startCloudflare(zone: string, token: string): Promise<FakeCloudflare> {
  const { app, misbehave } = createStandIn();
  const records = new Map<string, CloudflareRecord>();
  let made = 0;

  app.addHook("onRequest", async (request, reply) => {
    const { authorization } = request.headers;
    if (authorization === `Bearer ${token}`) return;
    // The answers to a malformed token and to an unknown one.
    if (authorization?.includes("malformed")) refuse(reply, 400, 6003, "Invalid request headers");
    else refuse(reply, 403, 9109, "Invalid access token");
  });

  app.get("/zones", async (request) => {
    const { name } = request.query as { name?: string };
    return good(name === zone ? [{ id: ZONE_ID, name: zone }] : []);
  });

  const path = `/zones/${ZONE_ID}/dns_records`;
  app.get(path, async (request) => {
    const { "name.exact": name, type } = request.query as Record<string, string | undefined>;
    const matches = (record: CloudflareRecord) =>
      (!name || record.name === name) && (!type || record.type === type);
    return good([...records.values()].filter(matches));
  });

  app.post(path, async (request, reply) => {
    const record = { ...normal(request.body as CloudflareRecord), id: `record-${++made}` };
    const others = [...records.values()].filter(({ name }) => name === record.name);
    if (others.some(({ type }) => (type === "CNAME") !== (record.type === "CNAME"))) {
      const text = "An A, AAAA, or CNAME record with that host already exists.";
      return refuse(reply, 400, 81053, text);
    }
    if (others.some(({ type, content }) => type === record.type && content === record.content)) {
      return refuse(reply, 400, 81058, "An identical record already exists.");
    }
    records.set(record.id, record);
    return good(record);
  });

  app.put(`${path}/:id`, async (request, reply) => {
    const { id } = request.params as { id: string };
    if (!records.has(id)) return refuse(reply, 404, 81044, "Record does not exist.");
    const record = { ...normal(request.body as CloudflareRecord), id };
    records.set(id, record);
    return good(record);
  });

  app.delete(`${path}/:id`, async (request, reply) => {
    const { id } = request.params as { id: string };
    if (!records.delete(id)) return refuse(reply, 404, 81044, "Record does not exist.");
    return good({ id });
  });

  const url = await listen(app);
  return { url, misbehave, records, close: () => app.close() };
}

/** Cloudflare stores IPv6 addresses in their shortest form. */
function normal(record: CloudflareRecord): CloudflareRecord {
  if (record.type !== "AAAA") return record;
  const content = new URL(`http://[${record.content}]`).hostname.slice(1, -1);
  return { ...record, content };
}

function good(result: unknown) {
  return { success: true, errors: [], messages: [], result };
}

function refuse(reply: FastifyReply, status: number, code: number, message: string) {
  const errors = [{ code, message }];
  return reply.code(status).send({ success: false, errors, messages: [], result: null });
}
