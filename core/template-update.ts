import { z } from "zod";
import type { TemplateFile } from "./template.ts";

/** The file in a project's repository that says which version of the template it contains. */
export const TEMPLATE_RECORD = ".rdev-template.json";

/** The type of the component that seeds. States contain it: never change it. */
export const TEMPLATE_SEED = "rdev:components:TemplateSeed";

/** The subject of a seed's commit begins with this. Repositories contain it: never change it. */
export const SEED_SUBJECT = "Start from the template ";

/** The branch of the pull request. */
export const UPDATE_BRANCH = "rdev-infra-template";

/** The ref that names the last commit that rdev-infra pushed to UPDATE_BRANCH. */
export const PUSHED_REF = "refs/rdev/template-update";

/** All bases. */
export const BASE_REFS = "refs/rdev/template/";

/** The ref that keeps this version of the template as it was rendered for the project. Never moves. */
export function baseRef(version: string): string {
  return `${BASE_REFS}${version}`;
}

const version = z
  .string()
  .regex(/^[0-9a-f]{16}$/)
  .meta({ description: "A template's version: the same files have the same version." });

/** The content of TEMPLATE_RECORD. */
const templateRecord = z.object({ template: z.string(), version });

export type TemplateRecord = z.output<typeof templateRecord>;

/** What an `up` records of a project's template. Without `version` the project was not seeded by it. */
export const templateSeed = z.object({
  template: z.string(),
  /** `<organization>/<name>` on Gitea. */
  repository: z.string(),
  /** Gitea's number. */
  repositoryId: z.int(),
  /** The version in the first commit. Projects of an older rdev-infra have none. */
  version: version.optional(),
  /** The value of each variable, for a later version of the template. */
  values: z.record(z.string(), z.string()),
});

export type TemplateSeedRecord = z.output<typeof templateSeed>;

const pullRequest = z
  .object({ number: z.int(), url: z.string() })
  .meta({ id: "TemplatePullRequest" });

/** What the last update found in a project's repository. */
export const templateState = z.object({
  /** The repository that it is about: a new one has a new number. */
  repositoryId: z.int(),
  /** The version in the default branch; undefined if the repository does not say. */
  version: version.optional(),
  /** The open pull request. */
  pullRequest: pullRequest.optional(),
});

export type TemplateState = z.output<typeof templateState>;

/** A project's template as its record shows it. */
export const projectTemplate = z
  .object({
    name: z.string().meta({ examples: ["skeleton"] }),
    version: version.optional().meta({
      description: "The version in the repository, as the last update found it. Absent if unknown.",
    }),
    outdated: z.boolean().meta({
      description: "Whether the service has another version. An update opens a pull request.",
    }),
    pullRequest: pullRequest.optional().meta({
      description: "The pull request that the last update opened or changed.",
    }),
  })
  .meta({ id: "ProjectTemplate" });

export type ProjectTemplate = z.output<typeof projectTemplate>;

/** A file that git could not merge. */
const templateConflict = z
  .object({
    paths: z.array(z.string()),
    reason: z.string().meta({
      examples: ["CONFLICT (content): Merge conflict in main.go"],
      description: "Git's words. `project` and `template` name the two sides.",
    }),
  })
  .meta({ id: "TemplateConflict" });

export type TemplateConflict = z.output<typeof templateConflict>;

/** What an update of a project's template did, or with `dryRun` would do. */
export const templateUpdate = z.object({
  slug: z.string(),
  template: z.string(),
  result: z.enum(["current", "unchanged", "opened", "updated"]).meta({
    description:
      "`current`: the project has the newest version. `unchanged`: an open pull request has it. " +
      "`opened`: a pull request was opened. `updated`: the open pull request was changed.",
  }),
  dryRun: z.boolean().meta({ description: "Nothing was changed: `result` is a forecast." }),
  version: version.optional().meta({
    description:
      "The version in the project's default branch. Absent if an older rdev-infra seeded it.",
  }),
  newest: version,
  pullRequest: pullRequest.optional(),
  files: z.array(z.string()).meta({ description: "The files that the pull request changes." }),
  conflicts: z.array(templateConflict),
});

export type TemplateUpdate = z.output<typeof templateUpdate>;

/** The file that records the version, for the project's repository. */
export function recordFile(record: TemplateRecord): TemplateFile {
  const text = `${JSON.stringify(record, null, 2)}\n`;
  return { path: TEMPLATE_RECORD, content: Buffer.from(text), executable: false };
}

/** The seed's report. The stack's state keeps it: `seededVersion` must read every form it ever had. */
export function seededText(files: number, { template, version }: TemplateRecord): string {
  return `Seeded ${files} files from the template ${template}, version ${version}.`;
}

/** The version in a seed's report; undefined if an older version wrote it, or nothing was seeded. */
export function seededVersion(report: string): string | undefined {
  return /, version ([0-9a-f]{16})\.\s*$/.exec(report)?.[1];
}

/** Reads the content of TEMPLATE_RECORD. Returns undefined if it has another form. */
export function parseTemplateRecord(text: string): TemplateRecord | undefined {
  try {
    return templateRecord.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}
