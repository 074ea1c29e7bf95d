import { createGunzip } from "node:zlib";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { z } from "zod";
import type { Alerts } from "./alerts.ts";
import { CitadelError, parseBody } from "./http.ts";
import type { LogEvent, Logs } from "./logs.ts";
import { tenantOfHeader } from "./scope.ts";
import type { Tenants } from "./tenants.ts";

/** The largest body after decompression; a larger one is answered 413. */
export const MAX_BODY_BYTES = 4 * 1024 * 1024;
const MAX_DEPTH = 32; // of objects and lists within fields

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

/** Both forms of ingest. A batch with one invalid event is refused as a whole. */
export function ingestRoutes(
  app: FastifyInstance,
  tenants: Tenants,
  logs: Logs,
  alerts: Alerts,
): void {
  // Checked before the body is read, so that a wrong tenant does not cost an upload of 4 MiB.
  app.addHook("onRequest", async (request) => {
    requireTenant(tenants, request);
  });
  acceptGzip(app);
  refuseInvalidUtf8(app);

  const accept = (request: FastifyRequest, batch: readonly LogEvent[]) => {
    const tenant = requireTenant(tenants, request);
    for (const { message, fields: content } of batch) {
      requireStorable(message, "message");
      requireStorable(content, "fields");
    }
    logs.add(tenant, batch);
    alerts.report(tenant, batch);
    return { accepted: batch.length };
  };

  app.post("/api/v1/ingest", async (request, reply) => {
    const batch = parseBody(z.array(event), request.body, 400);
    return reply.code(202).send(accept(request, batch));
  });

  app.post("/api/v1/ingest/event", async (request, reply) => {
    const { message, level, attributes } = parseBody(singleEvent, request.body, 400);
    const { service, environment, target, ...fields } = attributes;
    const timestamp = new Date().toISOString();
    const single = { timestamp, level, service, message, environment, target, fields };
    return reply.code(202).send(accept(request, [single]));
  });
}

function requireTenant(tenants: Tenants, request: FastifyRequest): string {
  const tenant = tenantOfHeader(tenants, request);
  if (tenant === undefined) throw new CitadelError(400, "the header X-Tenant-ID is missing");
  return tenant;
}

/** @throws CitadelError 400 for text with a lone surrogate, and for nesting below `MAX_DEPTH`. */
function requireStorable(value: unknown, path: string, depth = 1): void {
  if (typeof value === "string" && !value.isWellFormed()) {
    throw new CitadelError(400, `${path.slice(0, 80)} is not valid Unicode`);
  }
  if (typeof value !== "object" || value === null) return;
  if (depth > MAX_DEPTH) {
    throw new CitadelError(400, `${path.slice(0, 80)} is nested more than ${MAX_DEPTH} deep`);
  }
  for (const [name, inner] of Object.entries(value)) {
    requireStorable(name, `a name in ${path}`);
    requireStorable(inner, `${path}.${name}`, depth + 1);
  }
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
      // Fastify compares this number with Content-Length.
      unpacked.receivedEncodedLength += chunk.length;
    });
    payload.on("error", (error) => unpacked.destroy(error));
    return payload.pipe(unpacked);
  });
}

/** Fastify's own parser replaces an invalid byte with U+FFFD; Citadel's parser refuses it. */
function refuseInvalidUtf8(app: FastifyInstance): void {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  app.removeContentTypeParser("application/json");
  app.addContentTypeParser("application/json", { parseAs: "buffer" }, (_request, body, done) => {
    try {
      done(null, body.length === 0 ? undefined : JSON.parse(decoder.decode(body as Buffer)));
    } catch (error) {
      const format = error instanceof SyntaxError ? "JSON" : "UTF-8";
      done(new CitadelError(400, `body: not valid ${format}`), undefined);
    }
  });
}
