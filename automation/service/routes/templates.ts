import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { z } from "zod";
import { DEFAULT_TEMPLATE } from "../../../core/settings.ts";
import { templateUpdate } from "../../../core/template-update.ts";
import { identityOf } from "../access.ts";
import type { ServiceOptions } from "../options.ts";
import { flag } from "../schemas/flag.ts";
import { problemResponses } from "../schemas/problem.ts";
import { slugSchema } from "../schemas/project.ts";
import { templateSchema } from "../schemas/template.ts";

export function templateRoutes({ templates }: ServiceOptions): FastifyPluginAsyncZod {
  return async (app) => {
    app.get(
      "/v1/templates",
      {
        config: { access: "viewer" },
        schema: {
          tags: ["projects"],
          operationId: "listTemplates",
          summary: "List the templates of new projects",
          response: {
            200: z.object({ items: z.array(templateSchema) }).meta({ id: "TemplateList" }),
            ...problemResponses(),
          },
        },
      },
      async () => ({
        items: templates.list().map(({ name, version, readme }) => ({
          ...{ name, version, isDefault: name === DEFAULT_TEMPLATE },
          ...(readme !== undefined && { readme }),
        })),
      }),
    );

    app.post(
      "/v1/projects/:slug/template/update",
      {
        config: { access: "operator" },
        schema: {
          tags: ["projects"],
          operationId: "updateTemplate",
          summary: "Open a pull request with the newest version of a project's template",
          description:
            "A three-way merge against the version that the project has, on the branch " +
            "`rdev-infra-template` of its repository. An open pull request of an earlier update is changed. " +
            "Nothing is opened if the project has the newest version. The answer comes after the push; the " +
            "same request again continues what was interrupted.",
          params: z.object({ slug: slugSchema }),
          querystring: z.strictObject({
            dryRun: flag("Merge, and only show what the pull request would change."),
          }),
          response: {
            200: templateUpdate.meta({ id: "TemplateUpdate" }),
            ...problemResponses(400, 404, 409),
          },
        },
      },
      async (request) => {
        const { actor } = identityOf(request);
        const { dryRun = false } = request.query;
        return templates.update(request.params.slug, { actor, dryRun });
      },
    );
  };
}
