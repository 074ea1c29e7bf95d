import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { z } from "zod";
import { InfraError } from "../../../core/errors.ts";
import {
  ROLLOUT_STATES,
  rolloutApproval,
  rolloutReport,
  rolloutRequest,
  rolloutStack,
} from "../../../core/rollout.ts";
import { hasRole } from "../../identity/identity.ts";
import { identityOf } from "../access.ts";
import { EVENT_STREAM, sendEvents, StreamSlots } from "../event-stream.ts";
import { eventFrames, eventParameters, eventsResponse } from "../numbered-events.ts";
import type { ServiceLimits, ServiceOptions } from "../options.ts";
import { pageOf, pageQuery, toPage } from "../schemas/page.ts";
import { problemResponses } from "../schemas/problem.ts";
import {
  rolloutEventSchema,
  rolloutEventView,
  rolloutSchema,
  rolloutView,
} from "../schemas/rollout.ts";

const tags = ["rollouts"];
const params = z.object({
  id: z.uuid().meta({ examples: ["0193a8a1-7d5c-7c44-9c41-0c8f1d3f2b11"] }),
});

/** A rollout concerns all projects, so a caller that is bound to one has no access. */
export function rolloutRoutes(
  { rollouts }: ServiceOptions,
  limits: ServiceLimits,
  shutdown: AbortSignal,
): FastifyPluginAsyncZod {
  const slots = new StreamSlots(limits.streamsPerKey);

  async function findRollout(id: string) {
    const rollout = await rollouts.find(id);
    if (rollout) return rollout;
    throw new InfraError("RDEV_NOT_FOUND", `There is no rollout ${id}.`);
  }

  return async (app) => {
    app.post(
      "/v1/rollouts",
      {
        config: { access: "operator", allProjects: true },
        schema: {
          tags,
          operationId: "startRollout",
          summary: "Bring the service's version of the program to many projects",
          description:
            "The projects are selected now, and previewed. Nothing is changed before the plan is approved. " +
            "A project can be in one open rollout.",
          body: rolloutRequest,
          response: {
            202: rolloutSchema.meta({
              description: "The previews begin. Follow the rollout at the address in Location.",
            }),
            ...problemResponses(400, 409, 413, 415),
          },
        },
      },
      async (request, reply) => {
        const rollout = await rollouts.start(request.body, identityOf(request));
        reply.code(202).header("location", `/v1/rollouts/${rollout.id}`);
        return rolloutView(rollout);
      },
    );

    app.get(
      "/v1/rollouts",
      {
        config: { access: "viewer", allProjects: true },
        schema: {
          tags,
          operationId: "listRollouts",
          summary: "List the rollouts, newest first",
          querystring: z.strictObject({
            ...pageQuery("rollout"),
            state: z
              .enum(ROLLOUT_STATES)
              .optional()
              .meta({ description: "Only rollouts in this state." }),
          }),
          response: {
            200: pageOf(rolloutSchema).meta({ id: "RolloutPage" }),
            ...problemResponses(400),
          },
        },
      },
      async (request) => {
        const { limit, cursor: before, state } = request.query;
        const found = await rollouts.list({ limit: limit + 1, before, state });
        return toPage("rollout", limit, found, rolloutView, ({ id }) => id);
      },
    );

    app.get(
      "/v1/rollouts/:id",
      {
        config: { access: "viewer", allProjects: true },
        schema: {
          tags,
          params,
          operationId: "getRollout",
          summary: "Get a rollout",
          response: { 200: rolloutSchema, ...problemResponses(400, 404) },
        },
      },
      async (request) => rolloutView(await findRollout(request.params.id)),
    );

    app.get(
      "/v1/rollouts/:id/projects",
      {
        config: { access: "viewer", allProjects: true },
        schema: {
          tags,
          params,
          operationId: "listRolloutProjects",
          summary: "List all projects of a rollout, by wave and slug",
          response: {
            200: z
              .object({ items: z.array(rolloutStack.meta({ id: "RolloutProject" })) })
              .meta({ id: "RolloutProjects" }),
            ...problemResponses(400, 404),
          },
        },
      },
      async (request) => {
        const { id } = await findRollout(request.params.id);
        return { items: await rollouts.projects(id) };
      },
    );

    app.get(
      "/v1/rollouts/:id/report",
      {
        config: { access: "viewer", allProjects: true },
        schema: {
          tags,
          params,
          operationId: "getRolloutReport",
          summary: "Get the plan of a rollout, or its results once it has ended",
          response: { 200: rolloutReport, ...problemResponses(400, 404) },
        },
      },
      async (request) => rollouts.report(await findRollout(request.params.id)),
    );

    app.get(
      "/v1/rollouts/:id/events",
      {
        config: { access: "viewer", allProjects: true, streams: true },
        exposeHeadRoute: false,
        schema: {
          tags,
          params,
          operationId: "getRolloutEvents",
          summary: "Get the events of a rollout",
          description:
            "With `Accept: text/event-stream` the answer is a stream of server-sent events, as for an " +
            "operation; the last one is `event: end`, with the Rollout as its data. Otherwise the answer " +
            "is JSON, with the events that exist already.",
          ...eventParameters,
          response: {
            200: eventsResponse(
              z.object({ items: z.array(rolloutEventSchema) }).meta({ id: "RolloutEvents" }),
            ),
            ...problemResponses(400, 404),
          },
        },
      },
      async (request, reply) => {
        const { id } = await findRollout(request.params.id);
        const after = request.headers["last-event-id"] ?? request.query.after;
        if (!request.headers.accept?.includes(EVENT_STREAM)) {
          const events = await rollouts.events(id, after, request.query.limit);
          return { items: events.map(rolloutEventView) };
        }
        const ended = async () => {
          const found = await rollouts.find(id);
          return found && rolloutView(found);
        };
        const frames = (signal: AbortSignal) =>
          eventFrames(rollouts.follow(id, after, signal), rolloutEventView, ended);
        return sendEvents(request, reply, { frames, slots, limits, shutdown });
      },
    );

    app.post(
      "/v1/rollouts/:id/approve",
      {
        config: { access: "approver", allProjects: true },
        schema: {
          tags,
          params,
          operationId: "approveRollout",
          summary: "Approve the plan of a rollout",
          description:
            "The first wave begins. A project whose plan at its turn is not the approved one is held back. " +
            "Where the platform says so, the one who started a rollout may not approve it. `dataLoss` needs " +
            "the role admin.",
          body: rolloutApproval,
          response: { 202: rolloutSchema, ...problemResponses(400, 404, 409, 413, 415) },
        },
      },
      async (request, reply) => {
        const caller = identityOf(request);
        if (request.body.dataLoss && !hasRole(caller, "admin", null)) {
          throw new InfraError(
            "RDEV_ROLE",
            `The ${caller.title} may approve the plan, but only the role admin may approve that data is ` +
              "lost. Approve it without dataLoss, and those projects are held back.",
          );
        }
        const rollout = await rollouts.approve(request.params.id, request.body, caller);
        return reply.code(202).send(rolloutView(rollout));
      },
    );

    const changes = [
      [
        "pause",
        "Pause a rollout",
        "It begins nothing new. Operations that wait or run already go on.",
      ],
      ["resume", "Resume a paused rollout", "It goes on where it was paused."],
      [
        "cancel",
        "Cancel a rollout",
        "It begins nothing new, and its operations that wait or run are cancelled. What is done stays. A " +
          "rollout that has ended stays as it is.",
      ],
    ] as const;
    for (const [action, summary, description] of changes) {
      app.post(
        `/v1/rollouts/:id/${action}`,
        {
          config: { access: "operator", allProjects: true },
          schema: {
            tags,
            params,
            operationId: `${action}Rollout`,
            summary,
            description,
            response: { 202: rolloutSchema, ...problemResponses(400, 404, 409) },
          },
        },
        async (request, reply) => {
          const rollout = await rollouts[action](request.params.id, identityOf(request));
          return reply.code(202).send(rolloutView(rollout));
        },
      );
    }
  };
}
