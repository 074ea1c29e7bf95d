import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { z } from "zod";
import { drift, driftRun, driftState } from "../../../core/drift.ts";
import { InfraError } from "../../../core/errors.ts";
import { identityOf, visibleProjects } from "../access.ts";
import type { ServiceOptions } from "../options.ts";
import { pageOf, pageQuery, toPage } from "../schemas/page.ts";
import { problemResponses } from "../schemas/problem.ts";
import { slugSchema } from "../schemas/project.ts";
import { acceptedResponse, submit, submitHeaders, submitQuery } from "../submit.ts";
import { findProject } from "./projects.ts";

const tags = ["drift"];
const params = z.object({ slug: slugSchema });
const submitSchema = {
  tags,
  params,
  headers: submitHeaders,
  querystring: z.strictObject(submitQuery),
};

/** How many looks at all projects are listed. */
const RUNS = 50;

export function driftRoutes(options: ServiceOptions): FastifyPluginAsyncZod {
  const { platform } = options;
  return async (app) => {
    app.get(
      "/v1/drift",
      {
        config: { access: "viewer" },
        schema: {
          tags,
          operationId: "listDrift",
          summary: "List what others changed on the servers, by project",
          querystring: z.strictObject({
            ...pageQuery("drift"),
            state: driftState.optional().meta({
              description: "Only projects in this state. Default: `drifted` and `failed`.",
            }),
          }),
          response: {
            200: pageOf(drift).meta({ id: "DriftPage" }),
            ...problemResponses(400),
          },
        },
      },
      async (request) => {
        const { limit, cursor: after, state } = request.query;
        const slugs = visibleProjects(request, undefined);
        const states = state === undefined ? (["drifted", "failed"] as const) : [state];
        const query = { platform, limit: limit + 1, after, slugs, states };
        const found = await options.drift.list(query);
        return toPage(
          "drift",
          limit,
          found,
          (one) => one,
          ({ slug }) => slug,
        );
      },
    );

    app.get(
      "/v1/drift/runs",
      {
        config: { access: "viewer", allProjects: true },
        schema: {
          tags,
          operationId: "listDriftRuns",
          summary: "List the looks at all projects, newest first",
          response: {
            200: z.object({ items: z.array(driftRun) }).meta({ id: "DriftRunList" }),
            ...problemResponses(),
          },
        },
      },
      async () => ({ items: await options.drift.runs(platform, RUNS) }),
    );

    app.post(
      "/v1/drift/runs",
      {
        config: { access: "operator", allProjects: true },
        schema: {
          tags,
          operationId: "startDriftRun",
          summary: "Look at all projects now",
          description: "A few at once, after everything that people wait for. One at a time.",
          response: {
            202: driftRun.meta({ description: "The look at all projects has begun." }),
            ...problemResponses(409),
          },
        },
      },
      async (request, reply) => {
        reply.code(202);
        return options.lookAtAll(identityOf(request).actor);
      },
    );

    app.get(
      "/v1/projects/:slug/drift",
      {
        config: { access: "viewer" },
        schema: {
          tags,
          params,
          operationId: "getDrift",
          summary: "Get what others changed in a project",
          response: { 200: drift, ...problemResponses(400, 404) },
        },
      },
      async ({ params: { slug } }) => {
        const found = await options.drift.find(slug);
        if (found) return found;
        throw new InfraError("RDEV_NOT_FOUND", `There is no project "${slug}".`);
      },
    );

    app.post(
      "/v1/projects/:slug/drift/check",
      {
        config: { access: "operator" },
        schema: {
          ...submitSchema,
          operationId: "checkDrift",
          summary: "Look at a project for what others changed",
          description: "Changes nothing. The project's record then has what was found.",
          response: { 202: acceptedResponse, ...problemResponses(400, 404, 409, 422) },
        },
      },
      async (request, reply) => {
        const { slug } = request.params;
        await findProject(options, slug);
        const look = { kind: "preview", of: "up", settings: {}, drift: {} } as const;
        return submit(options, request, reply, { slug, request: look, ...request.query });
      },
    );

    app.post(
      "/v1/projects/:slug/drift/fix",
      {
        config: { access: "operator" },
        schema: {
          ...submitSchema,
          operationId: "fixDrift",
          summary: "Take back what others changed in a project",
          description:
            "An `up` that reads the servers first. It also makes what else an `up` would change, such as a " +
            "newer version of the program: look at the project first.",
          response: { 202: acceptedResponse, ...problemResponses(400, 404, 409, 422) },
        },
      },
      async (request, reply) => {
        const { slug } = request.params;
        await findProject(options, slug);
        const fix = { kind: "up", settings: {}, onFailure: "keep", fix: "all" } as const;
        return submit(options, request, reply, { slug, request: fix, ...request.query });
      },
    );
  };
}
