import { z } from "zod";
import { projectChanges } from "../../../core/settings.ts";
import { slugProblems } from "../../../core/slug.ts";
import { PROJECT_STATUSES } from "../../store/project-records.ts";
import { operationSchema, operationView } from "./operation.ts";
import { settingsSchema } from "../../../core/operation.ts";
import type { ProjectRecord } from "../../store/project-records.ts";

export const slugSchema = z
  .string()
  .check((context) => {
    for (const problem of slugProblems(context.value)) {
      context.issues.push({ code: "custom", message: problem, input: context.value });
    }
  })
  .meta({
    description:
      "3 to 40 characters of a-z, 0-9 and single hyphens; begins with a letter, ends with a letter " +
      "or digit.",
    examples: ["my-app"],
  });

const onFailure = z
  .enum(["keep", "rollback"])
  .default("keep")
  .meta({
    description:
      "When the first creation fails: keep what was made, for the next request to finish, or delete " +
      "it again. Where anything of the project is there before, nothing is done and the operation " +
      "fails with RDEV_ROLLBACK.",
  });

export const putProjectSchema = projectChanges
  .extend({ onFailure })
  .meta({ id: "PutProject", examples: [{ name: "My App", sizes: { replicas: 2 } }] });

export const createProjectSchema = projectChanges
  .extend({
    name: projectChanges.shape.name.unwrap().meta({
      description: "For people. The slug is made of it.",
      examples: ["My First Project!"],
    }),
    onFailure,
  })
  .meta({ id: "CreateProject", examples: [{ name: "My First Project!" }] });

export const previewSchema = z
  .strictObject({
    settings: projectChanges.optional().meta({ description: "In place of the project's own." }),
    of: z.enum(["up", "destroy"]).default("up").meta({
      description: "What putting the project would change, or what deleting it would delete.",
    }),
  })
  .meta({ id: "PreviewProject" });

export const projectSchema = z
  .object({
    slug: z.string().meta({ examples: ["my-app"] }),
    name: z.string().meta({ description: "For people.", examples: ["My App"] }),
    platform: z.string().meta({ examples: ["staging"] }),
    status: z.enum(PROJECT_STATUSES).meta({
      id: "ProjectStatus",
      description:
        "`ready`: as it was last asked for. `changing`: that is being done, or waits. `incomplete`: " +
        "it failed, put it again. `deleting`: that is being done, or waits. `half-deleted`: that " +
        "failed, delete it again. `deleted`: kept on record only. `unknown`: made by another way.",
    }),
    settings: settingsSchema,
    outputs: z.record(z.string(), z.unknown()).meta({
      description: 'What its stack gives out. Secrets are the text "[secret]".',
    }),
    urls: z
      .object({ site: z.string().optional(), repository: z.string().optional() })
      .meta({ id: "ProjectUrls" }),
    tenantId: z.uuid().optional().meta({ description: "Its environment in Citadel." }),
    lastOperation: operationSchema.optional(),
    createdAt: z.iso.datetime(),
    updatedAt: z.iso.datetime(),
  })
  .meta({ id: "Project" });

export function projectView(record: ProjectRecord): z.output<typeof projectSchema> {
  const { slug, name, platform, status, settings, outputs, citadelTenantId } = record;
  const { url: site, repository } = outputs;
  return {
    ...{ slug, name, platform, status, settings, outputs },
    urls: {
      ...(typeof site === "string" && { site }),
      ...(typeof repository === "string" && { repository }),
    },
    ...(citadelTenantId !== null && { tenantId: citadelTenantId }),
    ...(record.lastOperation && { lastOperation: operationView(record.lastOperation) }),
    createdAt: record.createdAt.toISOString(),
    updatedAt: record.updatedAt.toISOString(),
  };
}
