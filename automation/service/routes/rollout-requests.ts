import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { z } from "zod";
import { mergedRollout, mergedRolloutState } from "../../../core/merged-rollout.ts";
import { identityOf } from "../access.ts";
import type { ServiceOptions } from "../options.ts";
import { pageOf, pageQuery, toPage } from "../schemas/page.ts";
import { problemResponses } from "../schemas/problem.ts";

const tags = ["rollouts"];

/** Requests to roll out merged pull requests. They concern all projects, like the rollouts. */
export function rolloutRequestRoutes({ rolloutRequests }: ServiceOptions): FastifyPluginAsyncZod {
  return async (app) => {
    app.get(
      "/v1/rollouts/requests",
      {
        config: { access: "viewer", allProjects: true },
        schema: {
          tags,
          operationId: "listRolloutRequests",
          summary: "List the requests to roll out merged pull requests, newest first",
          description:
            "At most one of each platform waits. Those that have ended are kept for 90 days.",
          querystring: z.strictObject({
            ...pageQuery("rollout-request"),
            state: mergedRolloutState.optional(),
          }),
          response: {
            200: pageOf(mergedRollout).meta({ id: "RolloutRequestPage" }),
            ...problemResponses(400),
          },
        },
      },
      async (request) => {
        const { limit, cursor: before, state } = request.query;
        const found = await rolloutRequests.list({ limit: limit + 1, before, state });
        return toPage(
          "rollout-request",
          limit,
          found,
          (one) => one,
          ({ id }) => id,
        );
      },
    );

    app.post(
      "/v1/rollouts/requests/:id/cancel",
      {
        config: { access: "operator", allProjects: true },
        schema: {
          tags,
          operationId: "cancelRolloutRequest",
          summary: "Cancel a request for a rollout that waits",
          description:
            "The service comments it on the pull request. A request that ended without a rollout stays as " +
            "it is. Once its rollout is planned, cancel the rollout instead.",
          params: z.object({ id: z.uuid() }),
          response: { 200: mergedRollout, ...problemResponses(400, 404, 409) },
        },
      },
      async (request) => rolloutRequests.cancel(request.params.id, identityOf(request).actor),
    );
  };
}
