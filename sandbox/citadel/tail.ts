import { once } from "node:events";
import type { ServerResponse } from "node:http";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { entryOf } from "./entry.ts";
import { CitadelError } from "./errors.ts";
import type { Events, Search } from "./events.ts";
import { queryOf, scopeOf } from "./search.ts";
import type { Store } from "./store.ts";

export interface TailOptions {
  /** Between two comments that keep the connection, in ms. */
  readonly heartbeat: number;
}

const PAGE = 500; // entries read at once

/** The live tail. Gives what cuts all that are open, as a broken network does. */
export function tailRoutes(
  app: FastifyInstance,
  store: Store,
  events: Events,
  { heartbeat }: TailOptions,
): () => void {
  const open = new Set<ServerResponse>();
  const cut = () => {
    for (const response of open) response.destroy();
  };
  app.addHook("preClose", async () => cut());

  app.get("/api/v1/tail", async (request, reply) => {
    const scope = scopeOf(store, request);
    const cpl = queryOf(request);
    const from = lastEventId(request) ?? events.last();
    reply.hijack();
    const response = reply.raw;
    // Whoever left before would never be noticed to have left.
    if (response.destroyed) return;
    open.add(response);
    response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
    response.flushHeaders();
    // Read anew each time: a group's members change.
    const search = (): Search => ({ tenants: store.numbers(scope), cpl });
    const stop = pump(response, events, search, from);
    const beat = setInterval(() => response.write(": heartbeat\n\n"), heartbeat);
    response.once("close", () => {
      stop();
      clearInterval(beat);
      open.delete(response);
    });
  });
  return cut;
}

/** Writes what comes after `from`, as fast as it is taken. Gives what stops it. */
function pump(
  response: ServerResponse,
  events: Events,
  search: () => Search,
  from: number,
): () => void {
  let seen = from;
  let running = false;
  let again = false;
  const write = async () => {
    again = true;
    if (running) return;
    running = true;
    while (again && !response.destroyed) {
      again = false;
      const { events: found, upTo } = events.after(search(), seen, PAGE);
      seen = upTo;
      if (found.length === PAGE) again = true;
      const text = found.map((event) => frame(event.id, entryOf(event))).join("");
      if (text !== "" && !response.write(text)) {
        await Promise.race([once(response, "drain"), once(response, "close")]);
      }
    }
    running = false;
  };
  const added = () => void write().catch((error: Error) => response.destroy(error));
  const stop = events.onAdded(added);
  added();
  return stop;
}

function frame(id: string, entry: object): string {
  return `id: ${id}\ndata: ${JSON.stringify(entry)}\n\n`;
}

function lastEventId(request: FastifyRequest): number | undefined {
  const id = request.headers["last-event-id"];
  if (id === undefined) return undefined;
  if (typeof id === "string" && /^\d{1,15}$/.test(id)) return Number(id);
  throw new CitadelError(400, `Last-Event-ID must be an entry's id, not "${String(id)}"`);
}
