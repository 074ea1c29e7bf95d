/**
 * Pushes a rendered template as the first commit of an empty repository, and the same commit as the base
 * for the template's updates. Leaves a repository that has commits unchanged. The component TemplateSeed runs this file as a program, with @pulumi/command. Its
 * input is in environment variables: those of SeedVariables, and Gitea's connection.
 */
import { realpathSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { z } from "zod";
import { connection, type Environment, processEnvironment } from "../../core/connections.ts";
import { InfraError, userMessage } from "../../core/errors.ts";
import {
  renderFile,
  TEMPLATE_VARIABLES,
  type TemplateValues,
  type TemplateVariable,
  templateVersion,
} from "../../core/template.ts";
import { baseRef, recordFile, SEED_SUBJECT, seededText } from "../../core/template-update.ts";
import { Gitea } from "../gitea/client.ts";
import { runGit } from "./git.ts";
import { readTemplate, writeFiles } from "./template.ts";

/** In ms, until Gitea has processed the push. */
const DEADLINE = 60_000;

const variables = z.object({
  SEED_TEMPLATE: z.string().min(1),
  /** `<organization>/<name>` on Gitea. */
  SEED_REPOSITORY: z.string().regex(/^[^/]+\/[^/]+$/),
  /** The repository's HTTP address for git, without credentials. */
  SEED_CLONE_URL: z.url(),
  SEED_BRANCH: z.string().min(1),
  /** Every template variable, as a JSON object. */
  SEED_VALUES: z
    .string()
    .transform((text) => JSON.parse(text) as unknown)
    .pipe(z.record(z.enum(Object.keys(TEMPLATE_VARIABLES) as TemplateVariable[]), z.string())),
});

/** The environment variables that the component sets. */
export type SeedVariables = z.input<typeof variables>;

/** Seeds the repository, and returns one line that says what was done. */
export async function seed(environment: Environment): Promise<string> {
  const {
    SEED_TEMPLATE: template,
    SEED_REPOSITORY: repository,
    SEED_CLONE_URL: url,
    SEED_BRANCH: branch,
    SEED_VALUES: values,
  } = variables.parse(environment);
  const { token } = connection("gitea", environment);
  const files = readTemplate(template);
  const folder = await mkdtemp(join(tmpdir(), "rdev-seed-"));
  const git = (...args: string[]) => runGit(folder, { url, token }, args);
  try {
    if ((await git("ls-remote", url)).trim() !== "")
      return "The repository has commits: not seeded.";
    await git("init", "--quiet", "--initial-branch", branch);
    const version = templateVersion(files);
    await writeFiles(folder, [
      ...files.map((file) => renderFile(file, values satisfies TemplateValues)),
      recordFile({ template, version }),
    ]);
    await git("add", "--all", "--force");
    await git("commit", "--quiet", "--no-verify", "-m", `${SEED_SUBJECT}${template}`);
    const refs = [`HEAD:refs/heads/${branch}`, `HEAD:${baseRef(version)}`];
    await git("push", "--quiet", "--atomic", url, ...refs);
    await untilCommitIsKnown(repository);
    return seededText(files.length, { template, version });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/**
 * Waits until Gitea has processed the first push, which happens after its answer. Until then Gitea
 * calls the repository empty, and 1.26.0 answers 500 for its branch.
 */
async function untilCommitIsKnown(repository: string): Promise<void> {
  const [owner = "", name = ""] = repository.split("/");
  const gitea = new Gitea();
  const deadline = Date.now() + DEADLINE;
  while ((await gitea.repository(owner, name))?.empty !== false) {
    if (Date.now() > deadline) {
      const text = `Gitea accepted the first commit of ${repository}, but still calls it empty.`;
      throw new InfraError("RDEV_DEADLINE", text);
    }
    await setTimeout(100);
  }
}

// Node 22 has no import.meta.main, so with it this program would silently do nothing there.
if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === import.meta.filename) {
  try {
    console.log(await seed(processEnvironment()));
  } catch (error) {
    console.error(userMessage(error));
    process.exitCode = 1;
  }
}
