import { Readable } from "node:stream";
import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { z } from "zod";
import { InfraError } from "../../../core/errors.ts";
import { demandProject, keyOf } from "../access.ts";
import { encodeCursor } from "../cursor.ts";
import { eventStream } from "../event-stream.ts";
import type { Limits, ServiceParts } from "../parts.ts";
import {
  eventView,
  numberedEventSchema,
  operationSchema,
  operationView,
} from "../schemas/operation.ts";
import { OPERATION_STATES } from "../../../core/operation.ts";
import { Places } from "../places.ts";
import { pageOf, pageQuery } from "../schemas/page.ts";
import { problemResponses } from "../schemas/problem.ts";
import { slugSchema } from "../schemas/project.ts";
import type { FastifyRequest } from "fastify";

const tags = ["operations"];
const params = z.object({
  id: z.uuid().meta({ examples: ["0193a8a1-7d5c-7c44-9c41-0c8f1d3f2b11"] }),
});
const eventNumber = z.coerce.number().int().min(0).max(2_147_483_647);
const EVENT_STREAM = "text/event-stream";

export interface OperationRouteOptions {
  readonly parts: ServiceParts;
  readonly limits: Limits;
  /** Aborted when the service goes. */
  readonly leaving: AbortSignal;
}

export function operationRoutes(options: OperationRouteOptions): FastifyPluginAsyncZod {
  const { parts, limits, leaving } = options;
  const { operations } = parts;
  const places = new Places(limits.streams);

  /** The operation of a request, where its key may see it. */
  async function known(request: FastifyRequest, id: string) {
    const operation = await operations.find(id);
    if (!operation) throw new InfraError("RDEV_NOT_FOUND", `There is no operation ${id}.`);
    demandProject(request, operation.slug);
    request.about.project = operation.slug;
    return operation;
  }

  return async (app) => {
    app.get(
      "/v1/operations",
      {
        config: { access: "viewer" },
        schema: {
          ...{ tags, operationId: "listOperations", summary: "The operations, newest first" },
          querystring: z.strictObject({
            ...pageQuery("operation"),
            slug: slugSchema.optional().meta({ description: "Only of this project." }),
            state: z.enum(OPERATION_STATES).optional().meta({ description: "Only in this state." }),
          }),
          response: {
            200: pageOf(operationSchema).meta({ id: "OperationPage" }),
            ...problemResponses(400),
          },
        },
      },
      async (request) => {
        const { limit, cursor: before, slug, state } = request.query;
        demandProject(request, slug);
        const project = slug ?? keyOf(request).project ?? undefined;
        const found = await operations.list({
          limit: limit + 1,
          ...(before !== undefined && { before }),
          ...(project !== undefined && { slug: project }),
          ...(state && { state }),
        });
        const page = found.slice(0, limit);
        const last = page.at(-1);
        return {
          items: page.map(operationView),
          ...(last && found.length > limit && { next: encodeCursor("operation", last.id) }),
        };
      },
    );

    app.get(
      "/v1/operations/:id",
      {
        config: { access: "viewer" },
        schema: {
          ...{ tags, params, operationId: "getOperation", summary: "One operation" },
          response: { 200: operationSchema, ...problemResponses(400, 404) },
        },
      },
      async (request) => operationView(await known(request, request.params.id)),
    );

    app.get(
      "/v1/operations/:id/events",
      {
        config: { access: "viewer", streams: true },
        exposeHeadRoute: false,
        schema: {
          ...{ tags, params, operationId: "getOperationEvents" },
          summary: "What happens in an operation",
          description:
            "As a stream of server-sent events where `Accept: text/event-stream` asks for one: each " +
            "has the NumberedEvent as its data and the number as its id; `event: end` is the last, " +
            "with the Operation as its data. A stream that broke goes on after the id in " +
            "`Last-Event-ID`. Else as JSON: those that are there already.",
          headers: z.looseObject({
            accept: z.string().max(200).optional(),
            "last-event-id": eventNumber.optional().meta({
              description: "Only events after this number; before `after`.",
            }),
          }),
          querystring: z.strictObject({
            after: eventNumber.default(0).meta({ description: "Only events after this number." }),
            limit: z.coerce.number().int().min(1).max(1000).default(500).meta({
              description: "How many at most, as JSON.",
            }),
          }),
          response: {
            200: {
              description: "Events, in order.",
              content: {
                [EVENT_STREAM]: { schema: z.string() },
                "application/json": {
                  schema: z
                    .object({ items: z.array(numberedEventSchema) })
                    .meta({ id: "OperationEvents" }),
                },
              },
            },
            ...problemResponses(400, 404),
          },
        },
      },
      async (request, reply) => {
        const { id } = request.params;
        const operation = await known(request, id);
        const after = request.headers["last-event-id"] ?? request.query.after;
        if (!request.headers.accept?.includes(EVENT_STREAM)) {
          const events = await operations.events(operation.id, after, request.query.limit);
          return { items: events.map(eventView) };
        }
        const free = places.take(keyOf(request).id);
        const gone = new AbortController();
        const signal = AbortSignal.any([gone.signal, leaving]);
        const stream = Readable.from(
          eventStream({
            events: operations.follow(id, after, signal),
            last: () => operations.find(id),
            heartbeat: limits.heartbeat,
            leaving,
          }),
        );
        reply.raw.once("close", () => {
          gone.abort();
          free();
        });
        // A client that reads nothing takes nothing either: no sign of life gets through to it.
        request.raw.socket.setTimeout(limits.unread, () => request.raw.socket.destroy());
        reply.header("content-type", EVENT_STREAM).header("cache-control", "no-cache");
        reply.header("x-accel-buffering", "no").header("connection", "close");
        return reply.send(stream as unknown as string);
      },
    );

    app.post(
      "/v1/operations/:id/cancel",
      {
        config: { access: "operator" },
        schema: {
          ...{ tags, params, operationId: "cancelOperation" },
          summary: "Ask an operation to stop",
          description:
            "One that waits ends at once. One that runs finishes what is under way and begins nothing " +
            "more; the project can be put or deleted again from there. One that has ended stays so.",
          response: { 202: operationSchema, ...problemResponses(400, 404) },
        },
      },
      async (request, reply) => {
        const { id } = request.params;
        await known(request, id);
        const operation = await operations.cancel(id, keyOf(request).name);
        return reply.code(202).send(operationView(operation));
      },
    );
  };
}
