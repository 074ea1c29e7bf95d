import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { z } from "zod";
import { InfraError } from "../../../core/errors.ts";
import { labelsOf } from "../../../core/project-labels.ts";
import { slugFromName } from "../../../core/slug.ts";
import {
  PROJECT_ORDERS,
  PROJECT_STATUSES,
  type ListedProject,
} from "../../store/project-records.ts";
import { visibleProjects } from "../access.ts";
import type { ServiceOptions } from "../options.ts";
import { flag } from "../schemas/flag.ts";
import { pageOf, pageQuery, positionOf, positionText, toPage } from "../schemas/page.ts";
import { problemResponses } from "../schemas/problem.ts";
import {
  adoptSchema,
  createProjectSchema,
  previewSchema,
  projectCounts,
  projectResource,
  projectSchema,
  projectView,
  putProjectSchema,
  slugSchema,
} from "../schemas/project.ts";
import { checkExpiry } from "../expiry.ts";
import { acceptedResponse, submit, submitHeaders, submitQuery } from "../submit.ts";

const tags = ["projects"];
const params = z.object({ slug: slugSchema });
const querystring = z.strictObject(submitQuery);
const labelSelector = z
  .string()
  .max(2_000)
  .transform((text, context) => {
    const labels = labelsOf(text);
    if (labels) return labels;
    context.addIssue({
      code: "custom",
      message: "is not a list of labels such as team=shop,tier=1",
    });
    return z.NEVER;
  })
  .optional()
  .meta({
    description: "Only projects with all of these labels.",
    examples: ["team=shop,tier=1"],
  });
const submitSchema = { tags, params, headers: submitHeaders, querystring };

export function projectRoutes(options: ServiceOptions): FastifyPluginAsyncZod {
  const { programVersion: current } = options;
  return async (app) => {
    app.get(
      "/v1/projects",
      {
        config: { access: "viewer" },
        schema: {
          tags,
          operationId: "listProjects",
          summary: "List the projects",
          querystring: z.strictObject({
            ...pageQuery("project"),
            status: z
              .enum(PROJECT_STATUSES)
              .optional()
              .meta({ description: "Only projects with this status." }),
            template: z.enum(["outdated", "current"]).optional().meta({
              description:
                "Only projects whose template has a newer version, or only those that have the newest.",
            }),
            sort: z.enum(PROJECT_ORDERS).default("slug").meta({
              description:
                "The order. `status`: what needs attention first. `changed`: by the last change.",
            }),
            descending: flag("The other way round."),
            counts: flag("Also count the projects by status."),
            search: z.string().min(1).max(100).optional().meta({
              description: "Only projects with this text in the slug or the name, in any case.",
            }),
            labels: labelSelector,
            outdated: flag("Only projects at another version of the program, or only the others."),
          }),
          response: {
            200: pageOf(projectSchema)
              .extend({ counts: projectCounts.optional() })
              .meta({ id: "ProjectPage" }),
            ...problemResponses(400),
          },
        },
      },
      async (request) => {
        const { limit, cursor, counts, search, template, outdated, labels, ...query } =
          request.query;
        const slugs = visibleProjects(request, undefined);
        const version = outdated === undefined ? undefined : { is: !outdated, current };
        const filter = { search, template, version, slugs, labels };
        const after = cursor === undefined ? undefined : positionOf(cursor);
        const [found, counted] = await Promise.all([
          options.projects.list({ ...query, ...filter, limit: limit + 1, after }),
          counts === true ? options.projects.counts(filter) : undefined,
        ]);
        const view = (record: ListedProject) => {
          const { changes: _, ...drift } = record.drift;
          return projectView({ ...record, drift }, current);
        };
        const page = toPage("project", limit, found, view, ({ slug, key }) =>
          positionText(slug, key),
        );
        return { ...page, ...(counted && { counts: counted }) };
      },
    );

    app.post(
      "/v1/projects",
      {
        config: { access: "operator" },
        schema: {
          tags,
          operationId: "createProject",
          summary: "Create a project from a name",
          description:
            "The slug is derived from the name and is in the answer. If a project with that slug exists, " +
            "it stays as it is and the answer is 409.",
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
        await checkExpiry(options, request, slug, settings);
        return submit(options, request, reply, { slug, request: up, ifBusy, mustBeNew: true });
      },
    );

    app.get(
      "/v1/projects/:slug",
      {
        config: { access: "viewer" },
        schema: {
          tags,
          params,
          operationId: "getProject",
          summary: "Get a project",
          response: { 200: projectSchema, ...problemResponses(400, 404) },
        },
      },
      async ({ params: { slug } }) => projectView(await findProject(options, slug), current),
    );

    app.get(
      "/v1/projects/:slug/resources",
      {
        config: { access: "viewer" },
        schema: {
          tags,
          params,
          operationId: "listProjectResources",
          summary: "List a project's resources, those with a problem first",
          description:
            "From the events of its newest operations. What a person did with the command, without the " +
            "service, is not in them.",
          response: {
            200: z.object({ items: z.array(projectResource) }).meta({ id: "ProjectResources" }),
            ...problemResponses(400, 404),
          },
        },
      },
      async ({ params: { slug } }) => {
        await findProject(options, slug);
        return { items: await options.projects.resources(slug) };
      },
    );

    app.put(
      "/v1/projects/:slug",
      {
        config: { access: "operator" },
        schema: {
          ...submitSchema,
          operationId: "putProject",
          summary: "Create or change a project",
          description:
            "Settings that are left out stay as they are. The same request again changes nothing, or " +
            "finishes what failed before.",
          body: putProjectSchema,
          response: { 202: acceptedResponse, ...problemResponses(400, 409, 413, 415, 422) },
        },
      },
      async (request, reply) => {
        const { onFailure, ...settings } = request.body;
        const up = { kind: "up", settings, onFailure } as const;
        const { slug } = request.params;
        await checkExpiry(options, request, slug, settings);
        return submit(options, request, reply, { slug, request: up, ...request.query });
      },
    );

    for (const [verb, stopped] of [
      ["stop", true],
      ["start", false],
    ] as const) {
      app.post(
        `/v1/projects/:slug/${verb}`,
        {
          config: { access: "operator" },
          schema: {
            ...submitSchema,
            operationId: `${verb}Project`,
            summary: stopped ? "Run no pods of a project" : "Run the pods of a project again",
            description: stopped
              ? "An `up` with the setting `stopped`, so every later `up` leaves it stopped. Data, repository " +
                "and host name stay."
              : "An `up` that takes the setting `stopped` back. The number of pods is again that of `sizes`.",
            response: { 202: acceptedResponse, ...problemResponses(400, 404, 409, 422) },
          },
        },
        async (request, reply) => {
          const { slug } = request.params;
          await findProject(options, slug);
          const up = { kind: "up", settings: { stopped }, onFailure: "keep" } as const;
          return submit(options, request, reply, { slug, request: up, ...request.query });
        },
      );
    }

    app.delete(
      "/v1/projects/:slug",
      {
        config: { access: "admin" },
        schema: {
          ...submitSchema,
          operationId: "deleteProject",
          summary: "Delete a project and everything that was created for it",
          description:
            "The operation's `remaining` names what is left. While something is left, the project stays " +
            "on record, and another DELETE continues.",
          querystring: z.strictObject({
            ...submitQuery,
            retainData: flag("Keep the database. Default: the project's setting."),
            retainRepository: flag(
              "Archive the repository instead of deleting it. Default: the project's setting.",
            ),
            dryRun: flag("Only show what would be deleted."),
          }),
          response: { 202: acceptedResponse, ...problemResponses(400, 404, 409, 422) },
        },
      },
      async (request, reply) => {
        const { ifBusy, dryRun, ...settings } = request.query;
        const { slug } = request.params;
        await findProject(options, slug);
        const operation = dryRun
          ? ({ kind: "preview", of: "destroy", settings } as const)
          : ({ kind: "destroy", ...settings } as const);
        return submit(options, request, reply, { slug, request: operation, ifBusy });
      },
    );

    app.post(
      "/v1/projects/:slug/adopt",
      {
        config: { access: "admin" },
        schema: {
          ...submitSchema,
          operationId: "adoptProject",
          summary: "Bring a project up around what exists under its name",
          description:
            "The operation's events name each object, whose it is and what changes on it. If one cannot be " +
            "adopted, nothing is marked and the operation fails with every reason. The same request again " +
            "continues an adoption that was interrupted.",
          querystring: z.strictObject({ ...submitQuery, dryRun: flag("Only show what exists.") }),
          body: adoptSchema,
          response: { 202: acceptedResponse, ...problemResponses(400, 409, 413, 415, 422) },
        },
      },
      async (request, reply) => {
        const { ifBusy, dryRun } = request.query;
        const { slug } = request.params;
        const { body: settings } = request;
        const operation = dryRun
          ? ({ kind: "preview", of: "up", settings, adopt: true } as const)
          : ({ kind: "up", settings, onFailure: "keep", adopt: true } as const);
        return submit(options, request, reply, { slug, request: operation, ifBusy });
      },
    );

    app.post(
      "/v1/projects/:slug/preview",
      {
        config: { access: "operator" },
        schema: {
          ...submitSchema,
          operationId: "previewProject",
          summary: "Show what would change",
          description: "For a project that does not exist yet: what would be created.",
          body: previewSchema,
          response: { 202: acceptedResponse, ...problemResponses(400, 404, 409, 413, 415, 422) },
        },
      },
      async (request, reply) => {
        const { of, settings = {} } = request.body;
        const { slug } = request.params;
        if (of === "destroy") await findProject(options, slug);
        const preview = { kind: "preview", of, settings } as const;
        return submit(options, request, reply, { slug, request: preview, ...request.query });
      },
    );

    app.post(
      "/v1/projects/:slug/refresh",
      {
        config: { access: "operator" },
        schema: {
          ...submitSchema,
          operationId: "refreshProject",
          summary: "Compare a project with its servers, and report the differences",
          description:
            "The outcome's `changes` count what others have changed or deleted since; the events name each " +
            "resource and its properties. A PUT of the project repairs it.",
          response: { 202: acceptedResponse, ...problemResponses(400, 404, 409, 422) },
        },
      },
      async (request, reply) => {
        const { slug } = request.params;
        await findProject(options, slug);
        const refresh = { kind: "refresh" } as const;
        return submit(options, request, reply, { slug, request: refresh, ...request.query });
      },
    );
  };
}

/** Throws RDEV_NOT_FOUND. */
export async function findProject({ projects }: ServiceOptions, slug: string) {
  const project = await projects.find(slug);
  if (project) return project;
  throw new InfraError("RDEV_NOT_FOUND", `There is no project "${slug}".`);
}
