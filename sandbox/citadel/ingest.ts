import { createGunzip } from "node:zlib";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { z } from "zod";
import type { Alerts } from "./alerts.ts";
import { CitadelError, parseBody } from "./errors.ts";
import type { Events, LogEvent } from "./events.ts";
import { BadValue } from "./leaves.ts";
import type { Store } from "./store.ts";
import { tenantOfHeader } from "./tenant-header.ts";

/** The largest body of a batch, in bytes, unpacked; a larger one is answered 413. */
export const MAX_BODY_BYTES = 4 * 1024 * 1024;

const level = z.enum(["error", "warn", "info", "debug", "trace"]);
const fields = z.record(z.string(), z.unknown());

const event = z.object({
  message: z.string(),
  level,
  timestamp: z.iso.datetime({ precision: 3 }),
  service: z.string().min(1),
  environment: z.string(),
  target: z.string(),
  fields: fields.default({}),
});

const singleEvent = z.object({
  message: z.string(),
  level,
  attributes: z
    .object({
      service: z.string().min(1),
      environment: z.string().nullable().default(null),
      target: z.string().nullable().default(null),
    })
    .catchall(z.unknown()),
});

/** Both forms of ingest. A batch is taken whole or, with one event that is wrong, not at all. */
export function ingestRoutes(
  app: FastifyInstance,
  store: Store,
  events: Events,
  alerts: Alerts,
): void {
  // Before the body is read: a caller without a tenant need not send 4 MiB to learn it.
  app.addHook("onRequest", async (request) => {
    demandTenant(store, request);
  });
  acceptGzip(app);
  refuseBadUtf8(app);

  const take = (request: FastifyRequest, batch: readonly LogEvent[]) => {
    const id = demandTenant(store, request);
    const [number] = store.numbers({ kind: "tenant", id });
    if (number === undefined) throw new CitadelError(404, `no tenant ${id}`);
    try {
      events.add(number, batch);
    } catch (error) {
      if (error instanceof BadValue) throw new CitadelError(400, error.message);
      throw error;
    }
    alerts.look({ id, number }, batch);
    return { accepted: batch.length };
  };

  app.post("/api/v1/ingest", async (request, reply) => {
    const batch = parseBody(z.array(event), request.body, 400);
    return reply.code(202).send(take(request, batch));
  });

  app.post("/api/v1/ingest/event", async (request, reply) => {
    const { message, level, attributes } = parseBody(singleEvent, request.body, 400);
    const { service, environment, target, ...fields } = attributes;
    const timestamp = new Date().toISOString();
    const single = { timestamp, level, service, message, environment, target, fields };
    return reply.code(202).send(take(request, [single]));
  });
}

function demandTenant(store: Store, request: FastifyRequest): string {
  const tenant = tenantOfHeader(store, request);
  if (tenant === undefined) throw new CitadelError(400, "the header X-Tenant-ID is missing");
  return tenant;
}

function acceptGzip(app: FastifyInstance): void {
  app.addHook("preParsing", async (request, _reply, payload) => {
    const encoding = request.headers["content-encoding"] ?? "identity";
    if (encoding === "identity") return payload;
    if (encoding !== "gzip") {
      throw new CitadelError(415, `Content-Encoding must be gzip or identity, not "${encoding}"`);
    }
    const unpacked = Object.assign(createGunzip(), { receivedEncodedLength: 0 });
    payload.on("data", (chunk: Buffer) => {
      // Fastify compares it with Content-Length.
      unpacked.receivedEncodedLength += chunk.length;
    });
    payload.on("error", (error) => unpacked.destroy(error));
    return payload.pipe(unpacked);
  });
}

/** As JSON parsers that do not guess; by itself Fastify puts U+FFFD where a byte is wrong. */
function refuseBadUtf8(app: FastifyInstance): void {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  app.removeContentTypeParser("application/json");
  app.addContentTypeParser("application/json", { parseAs: "buffer" }, (_request, body, done) => {
    try {
      done(null, body.length === 0 ? undefined : JSON.parse(decoder.decode(body as Buffer)));
    } catch (error) {
      const what = error instanceof SyntaxError ? "JSON" : "UTF-8";
      done(new CitadelError(400, `body: this is no valid ${what}`), undefined);
    }
  });
}
