/**
 * Pushes a rendered template as the first commit of an empty repository. A program of its own: the
 * component TemplateSeed runs it by @pulumi/command. What it needs comes in environment variables
 * (see SeedOrder); the connection to Gitea as always. A repository with commits is left as it is.
 */
import { execFile } from "node:child_process";
import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { promisify } from "node:util";
import { z } from "zod";
import { connection } from "../../core/connections.ts";
import { InfraError, redact, userMessage } from "../../core/errors.ts";
import { MANAGED_BY } from "../../core/ownership.ts";
import {
  readTemplate,
  renderFile,
  TEMPLATE_VARIABLES,
  type TemplateValues,
  type TemplateVariable,
} from "../../core/template.ts";
import { Gitea } from "../gitea/client.ts";

/** For each git command, and for Gitea to take note of the push; in ms. */
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
export async function seed(environment: NodeJS.ProcessEnv): Promise<string> {
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
  const git = (...args: string[]) => runGit(folder, url, token, args);
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

async function write(folder: string, files: ReturnType<typeof readTemplate>): Promise<void> {
  for (const { path, content, executable } of files) {
    const target = join(folder, path);
    await mkdir(dirname(target), { recursive: true });
    await writeFile(target, content);
    if (executable) await chmod(target, 0o755);
  }
}

/** The token travels in git's environment: arguments can be read by every user of the machine. */
async function runGit(cwd: string, url: string, token: string, args: string[]): Promise<string> {
  const env = {
    PATH: process.env["PATH"],
    HOME: cwd, // no configuration of the user's own: hooks, signing, helpers
    GIT_CONFIG_NOSYSTEM: "1",
    GIT_TERMINAL_PROMPT: "0",
    GIT_CONFIG_COUNT: "1",
    GIT_CONFIG_KEY_0: `http.${new URL(url).origin}/.extraHeader`,
    GIT_CONFIG_VALUE_0: `Authorization: token ${token}`,
    GIT_AUTHOR_NAME: MANAGED_BY,
    GIT_AUTHOR_EMAIL: `${MANAGED_BY}@localhost`,
    GIT_COMMITTER_NAME: MANAGED_BY,
    GIT_COMMITTER_EMAIL: `${MANAGED_BY}@localhost`,
  };
  try {
    return (await promisify(execFile)("git", args, { cwd, env, timeout: DEADLINE })).stdout;
  } catch (error) {
    const { stderr, code } = error as { stderr?: string; code?: unknown };
    const said = (stderr ?? "").trim() || `ended with ${String(code)}`;
    const denied = /authentication failed|could not read username|403|401/i.test(said);
    throw new InfraError(
      denied ? "RDEV_UNAUTHORIZED" : "RDEV_REFUSED",
      redact(`git ${args[0]} on ${url}: ${said}`, [token]),
    );
  }
}

if (import.meta.main) {
  try {
    console.log(await seed(process.env));
  } catch (error) {
    console.error(userMessage(error));
    process.exitCode = 1;
  }
}
