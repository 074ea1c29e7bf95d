import { z } from "zod";
import { drift } from "../../../core/drift.ts";
import { projectTemplate } from "../../../core/template-update.ts";
import { settingsSchema } from "../../../core/operation.ts";
import { projectResource as projectResourceShape } from "../../../core/resources.ts";
import { projectChanges } from "../../../core/settings.ts";
import { slugProblems } from "../../../core/slug.ts";
import { PROJECT_STATUSES, type ProjectRecord } from "../../store/project-records.ts";
import { operationSchema, operationView } from "./operation.ts";

export const slugSchema = z
  .string()
  .check((context) => {
    for (const problem of slugProblems(context.value)) {
      context.issues.push({ code: "custom", message: problem, input: context.value });
    }
  })
  .meta({
    description:
      "3 to 40 characters: a-z, 0-9 and single hyphens. It begins with a letter and ends with a letter " +
      "or digit.",
    examples: ["my-app"],
  });

const onFailure = z
  .enum(["keep", "rollback"])
  .default("keep")
  .meta({
    description:
      "If the first creation fails: `keep` what was created, so that the next request continues, or " +
      "`rollback`: delete it. With `rollback`, if anything of the project exists before, nothing is " +
      "done and the operation fails with RDEV_ROLLBACK.",
  });

export const putProjectSchema = projectChanges
  .extend({ onFailure })
  .meta({ id: "PutProject", examples: [{ name: "My App", sizes: { replicas: 2 } }] });

export const createProjectSchema = projectChanges
  .extend({
    name: projectChanges.shape.name.unwrap().meta({
      description: "The display name. The slug is derived from it.",
      examples: ["My First Project!"],
    }),
    onFailure,
  })
  .meta({ id: "CreateProject", examples: [{ name: "My First Project!" }] });

export const previewSchema = z
  .strictObject({
    settings: projectChanges
      .optional()
      .meta({ description: "Settings to preview in place of the project's own." }),
    of: z.enum(["up", "destroy"]).default("up").meta({
      description: "What a PUT would change, or what a DELETE would delete.",
    }),
  })
  .meta({ id: "PreviewProject" });

export const adoptSchema = projectChanges.meta({
  id: "AdoptProject",
  examples: [{ name: "My App" }],
});

export const projectSchema = z
  .object({
    slug: z.string().meta({ examples: ["my-app"] }),
    name: z.string().meta({ description: "The display name.", examples: ["My App"] }),
    platform: z.string().meta({ examples: ["staging"] }),
    status: z.enum(PROJECT_STATUSES).meta({
      id: "ProjectStatus",
      description:
        "`ready`: the last change succeeded. `changing`: a change runs or waits. `incomplete`: the last " +
        "change failed; send the PUT again. `deleting`: the deletion runs or waits. `half-deleted`: the " +
        "deletion failed; send the DELETE again. `deleted`: only the record is left. `unknown`: no " +
        "operation on record has changed it.",
    }),
    settings: settingsSchema,
    outputs: z.record(z.string(), z.unknown()).meta({
      description: 'The outputs of its stack. Secrets are the text "[secret]".',
    }),
    urls: z
      .object({ site: z.string().optional(), repository: z.string().optional() })
      .meta({ id: "ProjectUrls" }),
    template: projectTemplate.optional().meta({
      description: "Absent until an `up` of this version of rdev-infra has recorded it.",
    }),
    version: z
      .string()
      .optional()
      .meta({
        description:
          "The version of the program that its last successful `up` ran, if it is known.",
        examples: ["0.1.0+3f2a9c1b0d4e"],
      }),
    outdated: z.boolean().meta({
      description: "Whether the service runs another version of the program. A rollout brings it.",
    }),
    tenantId: z.uuid().optional().meta({ description: "The id of its environment in Citadel." }),
    drift: drift
      .omit({ slug: true })
      .partial({ changes: true })
      .meta({
        id: "ProjectDrift",
        description: "What others changed on the servers. Lists leave out the `changes`.",
      })
      .optional(),
    lastOperation: operationSchema.optional(),
    createdAt: z.iso.datetime(),
    updatedAt: z.iso.datetime(),
  })
  .meta({ id: "Project" });

export type ProjectView = z.output<typeof projectSchema>;

export type { ProjectCounts, ProjectOrder, ProjectStatus } from "../../store/project-records.ts";

type CountShape = Readonly<Record<(typeof PROJECT_STATUSES)[number], z.ZodInt>>;

export const projectCounts = z
  .object(Object.fromEntries(PROJECT_STATUSES.map((status) => [status, z.int()])) as CountShape)
  .meta({
    id: "ProjectCounts",
    description: "How many projects have each status, whatever the list's `status` is.",
  });

export const projectResource = projectResourceShape.extend({ at: z.iso.datetime() }).meta({
  id: "ProjectResource",
});

/** `current` is the version of the program that the service runs. */
export function projectView(
  record: Omit<ProjectRecord, "drift"> & { readonly drift: ProjectView["drift"] },
  current: string,
): ProjectView {
  const { slug, name, platform, status, settings, outputs, citadelTenantId } = record;
  const { template } = record;
  const { programVersion: version } = record;
  const { url: site, repository } = outputs;
  return {
    slug,
    name,
    platform,
    status,
    settings,
    outputs,
    urls: {
      ...(typeof site === "string" && { site }),
      ...(typeof repository === "string" && { repository }),
    },
    ...(template && { template }),
    ...(version !== null && { version }),
    outdated: version !== current,
    ...(citadelTenantId !== null && { tenantId: citadelTenantId }),
    drift: record.drift,
    ...(record.lastOperation && { lastOperation: operationView(record.lastOperation) }),
    createdAt: record.createdAt.toISOString(),
    updatedAt: record.updatedAt.toISOString(),
  };
}
