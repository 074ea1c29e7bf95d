import { once } from "node:events";
import type { ServerResponse } from "node:http";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { CitadelError } from "./http.ts";
import { entryOf, type Logs, type Search, type StoredEvent } from "./logs.ts";
import { queryOf, scopeOf } from "./scope.ts";
import type { Tenants } from "./tenants.ts";

export interface TailOptions {
  /** The time between two comments that keep the connection open, in ms. */
  readonly heartbeat: number;
}

/** The live tail. Returns a function that breaks all open tails, as a failing network does. */
export function tailRoutes(
  app: FastifyInstance,
  tenants: Tenants,
  logs: Logs,
  { heartbeat }: TailOptions,
): () => void {
  const open = new Set<ServerResponse>();
  const cut = () => {
    for (const response of open) response.destroy();
  };
  app.addHook("preClose", async () => cut());

  app.get("/api/v1/tail", async (request, reply) => {
    const scope = scopeOf(tenants, request);
    const cpl = queryOf(request);
    const from = lastEventId(request) ?? logs.lastId;
    reply.hijack();
    const response = reply.raw;
    // A response that was destroyed earlier emits no "close", so it would never leave `open`.
    if (response.destroyed) return;
    open.add(response);
    response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
    response.flushHeaders();
    // Resolved for each batch, because the members of a group change.
    const search = (): Search => ({ tenants: tenants.idsIn(scope), cpl });
    const stop = pump(response, logs, search, from);
    const beat = setInterval(() => response.write(": heartbeat\n\n"), heartbeat);
    response.once("close", () => {
      stop();
      clearInterval(beat);
      open.delete(response);
    });
  });
  return cut;
}

/** Writes the events after `from`, as fast as the client reads them. Returns a function that stops it. */
function pump(
  response: ServerResponse,
  logs: Logs,
  search: () => Search,
  from: number,
): () => void {
  let seen = from;
  let isWriting = false;
  const write = async () => {
    if (isWriting) return;
    isWriting = true;
    while (seen < logs.lastId && !response.destroyed) {
      const found = logs.after(search(), seen);
      seen = logs.lastId;
      const text = found.map(frame).join("");
      if (text !== "" && !response.write(text)) {
        await Promise.race([once(response, "drain"), once(response, "close")]);
      }
    }
    isWriting = false;
  };
  const onAdded = () => void write().catch((error: Error) => response.destroy(error));
  const stop = logs.onAdded(onAdded);
  onAdded();
  return stop;
}

function frame(event: StoredEvent): string {
  return `id: ${event.id}\ndata: ${JSON.stringify(entryOf(event))}\n\n`;
}

function lastEventId(request: FastifyRequest): number | undefined {
  const id = request.headers["last-event-id"];
  if (id === undefined) return undefined;
  if (typeof id === "string" && /^\d{1,15}$/.test(id)) return Number(id);
  throw new CitadelError(400, `Last-Event-ID must be the id of an entry, not "${String(id)}"`);
}
