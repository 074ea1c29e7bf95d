import type { FastifyInstance, FastifyRequest } from "fastify";
import { z } from "zod";
import { CitadelError, parseBody } from "./errors.ts";
import type { Store } from "./store.ts";
import { tenantOfHeader } from "./tenant-header.ts";

/** The largest body of a batch, in bytes; a larger one is answered 413. */
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
export function ingestRoutes(app: FastifyInstance, store: Store): void {
  // Before the body is read: a caller without a tenant need not send 4 MiB to learn it.
  app.addHook("onRequest", async (request) => {
    demandTenant(store, request);
  });

  app.post("/api/v1/ingest", async (request, reply) => {
    const events = parseBody(z.array(event), request.body, 400);
    store.addEvents(demandTenant(store, request), events);
    return reply.code(202).send({ accepted: events.length });
  });

  app.post("/api/v1/ingest/event", async (request, reply) => {
    const { message, level, attributes } = parseBody(singleEvent, request.body, 400);
    const { service, environment, target, ...fields } = attributes;
    const timestamp = new Date().toISOString();
    store.addEvents(demandTenant(store, request), [
      { timestamp, level, service, message, environment, target, fields },
    ]);
    return reply.code(202).send({ accepted: 1 });
  });
}

function demandTenant(store: Store, request: FastifyRequest): string {
  const tenant = tenantOfHeader(store, request);
  if (tenant === undefined) throw new CitadelError(400, "the header X-Tenant-ID is missing");
  return tenant;
}
