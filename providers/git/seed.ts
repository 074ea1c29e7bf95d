/**
 * Pushes a rendered template as the first commit of an empty repository. A program of its own: the
 * component TemplateSeed runs it by @pulumi/command. What it needs comes in environment variables
 * (see SeedOrder); the connection to Gitea as always. A repository with commits is left as it is.
 */
import { realpathSync } from "node:fs";
import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { z } from "zod";
import { connection, type Environment, processEnvironment } from "../../core/connections.ts";
import { InfraError, userMessage } from "../../core/errors.ts";
import {
  renderFile,
  TEMPLATE_VARIABLES,
  type TemplateFile,
  type TemplateValues,
  type TemplateVariable,
} from "../../core/template.ts";
import { Gitea } from "../gitea/client.ts";
import { runGit } from "./git.ts";
import { readTemplate } from "./template.ts";

/** For Gitea to take note of the push; in ms. */
const DEADLINE = 60_000;

const order = z.object({
  SEED_TEMPLATE: z.string().min(1),
  /** `<organization>/<name>` on Gitea. */
  SEED_REPOSITORY: z.string().regex(/^[^/]+\/[^/]+$/),
  /** Where git reaches the repository over HTTP, without credentials. */
  SEED_CLONE_URL: z.url(),
  SEED_BRANCH: z.string().min(1),
  /** Every template variable, as a JSON object. */
  SEED_VALUES: z
    .string()
    .transform((text) => JSON.parse(text) as unknown)
    .pipe(z.record(z.enum(Object.keys(TEMPLATE_VARIABLES) as TemplateVariable[]), z.string())),
});

/** What the component hands over, as environment variables. */
export type SeedOrder = z.input<typeof order>;

/** Seeds the repository; says in one line what was done. */
export async function seed(environment: Environment): Promise<string> {
  const {
    SEED_TEMPLATE: template,
    SEED_REPOSITORY: repository,
    SEED_CLONE_URL: url,
    SEED_BRANCH: branch,
    SEED_VALUES: values,
  } = order.parse(environment);
  const { token } = connection("gitea", environment);
  const files = readTemplate(template);
  const folder = await mkdtemp(join(tmpdir(), "rdev-seed-"));
  const git = (...args: string[]) => runGit(folder, { url, token }, args);
  try {
    if ((await git("ls-remote", url)).trim() !== "")
      return "The repository has commits: not seeded.";
    await git("init", "--quiet", "--initial-branch", branch);
    await write(
      folder,
      files.map((file) => renderFile(file, values satisfies TemplateValues)),
    );
    await git("add", "--all", "--force");
    await git("commit", "--quiet", "--no-verify", "-m", `Start from the template ${template}`);
    await git("push", "--quiet", url, `HEAD:refs/heads/${branch}`);
    await commitIsKnown(repository);
    return `Seeded ${files.length} files from the template ${template}.`;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/**
 * Gitea takes note of a first push only after answering it. Until then it calls the repository empty,
 * and 1.26.0 answers questions for the branch with 500.
 */
async function commitIsKnown(repository: string): Promise<void> {
  const [owner = "", name = ""] = repository.split("/");
  const gitea = new Gitea();
  const deadline = Date.now() + DEADLINE;
  while ((await gitea.repository(owner, name))?.empty !== false) {
    if (Date.now() > deadline) {
      const text = `Gitea took ${repository}'s first commit and still calls it empty.`;
      throw new InfraError("RDEV_DEADLINE", text);
    }
    await setTimeout(100);
  }
}

async function write(folder: string, files: readonly TemplateFile[]): Promise<void> {
  for (const { path, content, executable } of files) {
    const target = join(folder, path);
    await mkdir(dirname(target), { recursive: true });
    await writeFile(target, content);
    if (executable) await chmod(target, 0o755);
  }
}

// Not import.meta.main: Node 22 has none, and this would end without a word and without a seed.
if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === import.meta.filename) {
  try {
    console.log(await seed(processEnvironment()));
  } catch (error) {
    console.error(userMessage(error));
    process.exitCode = 1;
  }
}
