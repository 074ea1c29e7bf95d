import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { z } from "zod";
import { InfraError } from "../../../core/errors.ts";
import { slugFromName } from "../../../core/slug.ts";
import { PROJECT_STATUSES } from "../../store/project-records.ts";
import { keyOf } from "../access.ts";
import { encodeCursor } from "../cursor.ts";
import type { ServiceParts } from "../parts.ts";
import { pageOf, pageQuery } from "../schemas/page.ts";
import { problemResponses } from "../schemas/problem.ts";
import {
  createProjectSchema,
  previewSchema,
  projectSchema,
  projectView,
  putProjectSchema,
  slugSchema,
} from "../schemas/project.ts";
import { acceptedResponse, submit, submitHeaders, submitQuery } from "../submit.ts";
import { flag } from "../schemas/flag.ts";

const tags = ["projects"];
const params = z.object({ slug: slugSchema });
const querystring = z.strictObject(submitQuery);
const submission = { tags, params, headers: submitHeaders, querystring };

export function projectRoutes(parts: ServiceParts): FastifyPluginAsyncZod {
  return async (app) => {
    app.get(
      "/v1/projects",
      {
        config: { access: "viewer" },
        schema: {
          ...{ tags, operationId: "listProjects", summary: "The projects, by slug" },
          querystring: z.strictObject({
            ...pageQuery("project"),
            status: z
              .enum(PROJECT_STATUSES)
              .optional()
              .meta({ description: "Only of this status." }),
            search: z.string().min(1).max(100).optional().meta({
              description: "Only those with this in the slug or the name, in any case.",
            }),
          }),
          response: {
            200: pageOf(projectSchema).meta({ id: "ProjectPage" }),
            ...problemResponses(400),
          },
        },
      },
      async (request) => {
        const { limit, cursor: after, status, search } = request.query;
        const { project } = keyOf(request);
        const slug = project ?? undefined;
        const found = await parts.projects.list({ limit: limit + 1, after, status, search, slug });
        const page = found.slice(0, limit);
        const last = page.at(-1);
        return {
          items: page.map(projectView),
          ...(last && found.length > limit && { next: encodeCursor("project", last.slug) }),
        };
      },
    );

    app.post(
      "/v1/projects",
      {
        config: { access: "operator" },
        schema: {
          ...{ tags, operationId: "createProject" },
          summary: "Create a project of a name",
          description:
            "Its slug is made of the name, and is in the answer. A project of that slug that exists " +
            "is left alone: 409.",
          headers: submitHeaders,
          querystring,
          body: createProjectSchema,
          response: { 202: acceptedResponse, ...problemResponses(400, 409, 413, 415, 422) },
        },
      },
      async (request, reply) => {
        const { onFailure, ...settings } = request.body;
        const slug = slugFromName(settings.name);
        const up = { kind: "up", settings, onFailure } as const;
        const { ifBusy } = request.query;
        return submit(parts, request, reply, { slug, request: up, ifBusy, mustBeNew: true });
      },
    );

    app.get(
      "/v1/projects/:slug",
      {
        config: { access: "viewer" },
        schema: {
          ...{ tags, params, operationId: "getProject", summary: "One project" },
          response: { 200: projectSchema, ...problemResponses(400, 404) },
        },
      },
      async ({ params: { slug } }) => projectView(await known(parts, slug)),
    );

    app.put(
      "/v1/projects/:slug",
      {
        config: { access: "operator" },
        schema: {
          ...{ ...submission, operationId: "putProject" },
          summary: "Create a project, or bring it to what is asked",
          description:
            "Settings that are left out stay as they are. Of a project that is so already, nothing " +
            "changes; what failed before is finished.",
          body: putProjectSchema,
          response: { 202: acceptedResponse, ...problemResponses(400, 409, 413, 415, 422) },
        },
      },
      async (request, reply) => {
        const { onFailure, ...settings } = request.body;
        const up = { kind: "up", settings, onFailure } as const;
        const { slug } = request.params;
        return submit(parts, request, reply, { slug, request: up, ...request.query });
      },
    );

    app.delete(
      "/v1/projects/:slug",
      {
        config: { access: "admin" },
        schema: {
          ...{ ...submission, operationId: "deleteProject" },
          summary: "Delete a project, and all that was made for it",
          description:
            "The operation's `remaining` names what is left. As long as something is, the project " +
            "stays on record, and deleting it again goes on.",
          querystring: z.strictObject({
            ...submitQuery,
            retainData: flag("Keep the database. Default: as the project's settings say."),
            retainRepository: flag(
              "Archive the repository instead of deleting it. Default: as the settings say.",
            ),
            dryRun: flag("Only tell what would be deleted."),
          }),
          response: { 202: acceptedResponse, ...problemResponses(400, 404, 409, 422) },
        },
      },
      async (request, reply) => {
        const { ifBusy, dryRun, retainData, retainRepository } = request.query;
        const { slug } = request.params;
        await known(parts, slug);
        const settings = {
          ...(retainData !== undefined && { retainData }),
          ...(retainRepository !== undefined && { retainRepository }),
        };
        const asked = dryRun
          ? ({ kind: "preview", of: "destroy", settings } as const)
          : ({ kind: "destroy", ...settings } as const);
        return submit(parts, request, reply, { slug, request: asked, ifBusy });
      },
    );

    app.post(
      "/v1/projects/:slug/preview",
      {
        config: { access: "operator" },
        schema: {
          ...{ ...submission, operationId: "previewProject" },
          summary: "Tell what would change",
          description: "Of a project that does not exist yet: what would be made.",
          body: previewSchema,
          response: { 202: acceptedResponse, ...problemResponses(400, 404, 409, 413, 415, 422) },
        },
      },
      async (request, reply) => {
        const { of, settings = {} } = request.body;
        const { slug } = request.params;
        if (of === "destroy") await known(parts, slug);
        const preview = { kind: "preview", of, settings } as const;
        return submit(parts, request, reply, { slug, request: preview, ...request.query });
      },
    );

    app.post(
      "/v1/projects/:slug/refresh",
      {
        config: { access: "operator" },
        schema: {
          ...{ ...submission, operationId: "refreshProject" },
          summary: "Look at the servers, and report what differs",
          description:
            "The outcome's `changes` count what was changed or deleted by others since; the events " +
            "name each resource and its properties. Putting the project mends it.",
          response: { 202: acceptedResponse, ...problemResponses(400, 404, 409, 422) },
        },
      },
      async (request, reply) => {
        const { slug } = request.params;
        await known(parts, slug);
        const refresh = { kind: "refresh" } as const;
        return submit(parts, request, reply, { slug, request: refresh, ...request.query });
      },
    );
  };
}

async function known({ projects }: ServiceParts, slug: string) {
  const project = await projects.find(slug);
  if (project) return project;
  throw new InfraError("RDEV_NOT_FOUND", `There is no project "${slug}".`);
}
