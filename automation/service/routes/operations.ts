import type { FastifyRequest } from "fastify";
import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { z } from "zod";
import { InfraError } from "../../../core/errors.ts";
import { OPERATION_STATES } from "../../../core/operation.ts";
import { identityOf, requireProject, visibleProjects } from "../access.ts";
import { EVENT_STREAM, sendEvents, StreamSlots } from "../event-stream.ts";
import { eventFrames, eventParameters, eventsResponse } from "../numbered-events.ts";
import type { ServiceLimits, ServiceOptions } from "../options.ts";
import {
  eventView,
  listedOperationView,
  numberedEventSchema,
  operationSchema,
  operationView,
} from "../schemas/operation.ts";
import { pageOf, pageQuery, toPage } from "../schemas/page.ts";
import { problemResponses } from "../schemas/problem.ts";
import { slugSchema } from "../schemas/project.ts";

const tags = ["operations"];
const params = z.object({
  id: z.uuid().meta({ examples: ["0193a8a1-7d5c-7c44-9c41-0c8f1d3f2b11"] }),
});

export function operationRoutes(
  { operations }: ServiceOptions,
  limits: ServiceLimits,
  shutdown: AbortSignal,
): FastifyPluginAsyncZod {
  const streams = new StreamSlots(limits.streamsPerKey);

  /** Throws RDEV_NOT_FOUND, or RDEV_ROLE if the caller is bound to another project. */
  async function findOperation(request: FastifyRequest, id: string) {
    const operation = await operations.find(id);
    if (!operation) throw new InfraError("RDEV_NOT_FOUND", `There is no operation ${id}.`);
    requireProject(request, operation.slug);
    request.subject.project = operation.slug;
    return operation;
  }

  return async (app) => {
    app.get(
      "/v1/operations",
      {
        config: { access: "viewer" },
        schema: {
          tags,
          operationId: "listOperations",
          summary: "List the operations, newest first",
          querystring: z.strictObject({
            ...pageQuery("operation"),
            slug: slugSchema.optional().meta({ description: "Only operations of this project." }),
            state: z
              .enum(OPERATION_STATES)
              .optional()
              .meta({ description: "Only operations in this state." }),
          }),
          response: {
            200: pageOf(operationSchema).meta({ id: "OperationPage" }),
            ...problemResponses(400),
          },
        },
      },
      async (request) => {
        const { limit, cursor: before, slug, state } = request.query;
        const slugs = visibleProjects(request, slug);
        const found = await operations.list({
          limit: limit + 1,
          ...(before !== undefined && { before }),
          ...(slugs && { slugs }),
          ...(state && { state }),
        });
        return toPage("operation", limit, found, listedOperationView, ({ id }) => id);
      },
    );

    app.get(
      "/v1/operations/:id",
      {
        config: { access: "viewer" },
        schema: {
          tags,
          params,
          operationId: "getOperation",
          summary: "Get an operation",
          response: { 200: operationSchema, ...problemResponses(400, 404) },
        },
      },
      async (request) => operationView(await findOperation(request, request.params.id)),
    );

    app.get(
      "/v1/operations/:id/events",
      {
        config: { access: "viewer", streams: true },
        exposeHeadRoute: false,
        schema: {
          tags,
          params,
          operationId: "getOperationEvents",
          summary: "Get the events of an operation",
          description:
            "With `Accept: text/event-stream` the answer is a stream of server-sent events: the data of " +
            "each is a NumberedEvent, and the id is its number. The last one is `event: end`, with the " +
            "Operation as its data. A new request with `Last-Event-ID` continues after that event. " +
            "Otherwise the answer is JSON, with the events that exist already.",
          ...eventParameters,
          response: {
            200: eventsResponse(
              z.object({ items: z.array(numberedEventSchema) }).meta({ id: "OperationEvents" }),
            ),
            ...problemResponses(400, 404),
          },
        },
      },
      async (request, reply) => {
        const { id } = request.params;
        const operation = await findOperation(request, id);
        const after = request.headers["last-event-id"] ?? request.query.after;
        if (!request.headers.accept?.includes(EVENT_STREAM)) {
          const events = await operations.events(operation.id, after, request.query.limit);
          return { items: events.map(eventView) };
        }
        const ended = async () => {
          const found = await operations.find(id);
          return found && operationView(found);
        };
        const frames = (signal: AbortSignal) =>
          eventFrames(operations.follow(id, after, signal), eventView, ended);
        return sendEvents(request, reply, { frames, slots: streams, limits, shutdown });
      },
    );

    app.post(
      "/v1/operations/:id/cancel",
      {
        config: { access: "operator" },
        schema: {
          tags,
          params,
          operationId: "cancelOperation",
          summary: "Cancel an operation",
          description:
            "A queued operation ends at once. A running one finishes the step under way and begins nothing " +
            "more; a PUT or DELETE of the project continues from there. One that has ended stays as it is.",
          response: { 202: operationSchema, ...problemResponses(400, 404) },
        },
      },
      async (request, reply) => {
        const { id } = request.params;
        await findOperation(request, id);
        const operation = await operations.cancel(id, identityOf(request).actor);
        return reply.code(202).send(operationView(operation));
      },
    );
  };
}
