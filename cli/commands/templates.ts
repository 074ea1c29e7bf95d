import type { Command } from "commander";
import pLimit from "p-limit";
import type { TemplateUpdate } from "../../core/template-update.ts";
import { userMessage } from "../../core/errors.ts";
import { count } from "../../core/previews/text.ts";
import { EXIT } from "../exit-codes.ts";
import { paint, printable } from "../text.ts";

/** The service does as many at once. */
const CONCURRENCY = 2;
/** In ms: the service fetches the repository, merges and pushes before it answers. */
const DEADLINE = 4 * 60_000;

export function addTemplate(program: Command): void {
  const template = program
    .command("template")
    .description("bring new versions of templates to projects, through the API of RDEV_INFRA_URL");
  template
    .command("list")
    .description("list projects with the version of their template")
    .option("--outdated", "only those whose template has a newer version")
    .option("--search <text>", "only those with this text in the slug or name")
    .option("--json", "print each project as JSON")
    .action(list);
  template
    .command("update [slugs...]")
    .description("open a pull request with the newest version in the repository of each project")
    .option("--outdated", "all projects whose template has a newer version")
    .option("--all", "all projects: also finds pull requests that were merged or reverted")
    .option("--search <text>", "of those, only the ones with this text in the slug or name")
    .option("--dry-run", "merge, and only show what the pull requests would change")
    .option("--json", "print each result as JSON")
    .action(update);
}

interface Selection {
  readonly outdated?: true;
  readonly search?: string;
  readonly json?: true;
}

async function list({ json, ...selection }: Selection): Promise<void> {
  let found = 0;
  for await (const project of projects(selection)) {
    const { slug, template } = project;
    if (!template) continue; // unknown until the next up
    found += 1;
    const { name, version = "unknown", outdated, pullRequest } = template;
    const state = outdated ? paint("yellow", "outdated") : "current";
    console.log(
      json
        ? JSON.stringify({ slug, ...template })
        : [slug, state, name, version, pullRequest?.url ?? ""].join("  ").trimEnd(),
    );
  }
  if (found === 0) console.error("No project matches.");
}

interface UpdateOptions extends Selection {
  readonly all?: true;
  readonly dryRun?: true;
}

async function update(slugs: readonly string[], options: UpdateOptions): Promise<void> {
  const { outdated, all, search, dryRun, json } = options;
  if (slugs.length > 0 === (outdated === true || all === true) || (outdated && all)) {
    console.error("error: name projects, or pass either --outdated or --all");
    process.exitCode = EXIT.usage;
    return;
  }
  const wanted = [...slugs];
  const selection = { ...(outdated && { outdated }), ...(search !== undefined && { search }) };
  if (slugs.length === 0) for await (const { slug } of projects(selection)) wanted.push(slug);
  if (wanted.length === 0) return console.error("No project matches.");
  const { api, templateUpdate } = await open();
  await pLimit(CONCURRENCY).map(wanted, async (slug) => {
    const path = `/v1/projects/${encodeURIComponent(slug)}/template/update`;
    try {
      const call = { query: { dryRun }, deadline: DEADLINE };
      const done = await api.call("POST", path, templateUpdate, call);
      console.log(json ? JSON.stringify(done) : updateLines(done).join("\n"));
    } catch (error) {
      process.exitCode = EXIT.failed;
      if (json) console.log(JSON.stringify({ slug, error: userMessage(error) }));
      console.error(paint("red", `${slug}  ${printable(userMessage(error))}`));
    }
  });
}

/** `my-app  opened  https://…/pulls/3  1 conflict`, and the conflicts. */
function updateLines(done: TemplateUpdate): string[] {
  const { slug, result, dryRun, pullRequest, conflicts, files } = done;
  const would = {
    current: "current",
    unchanged: "unchanged",
    opened: "would open",
    updated: "would update",
  };
  const hasChange = result === "opened" || result === "updated";
  const facts = [
    slug,
    dryRun ? would[result] : result,
    ...(pullRequest ? [pullRequest.url] : []),
    ...(hasChange ? [count(files.length, "file")] : []),
    ...(conflicts.length > 0 ? [paint("yellow", count(conflicts.length, "conflict"))] : []),
  ];
  return [facts.join("  "), ...conflicts.map(({ reason }) => `    ${printable(reason)}`)];
}

async function* projects({ outdated, search }: Selection) {
  const { api, projectSchema } = await open();
  const template = outdated ? "outdated" : undefined;
  yield* api.items("/v1/projects", projectSchema, { template, search });
}

/** Loads the modules that only these commands need. */
async function open() {
  const [{ ApiClient }, { projectSchema }, { templateUpdate }] = await Promise.all([
    import("../api/client.ts"),
    import("../../automation/service/schemas/project.ts"),
    import("../../core/template-update.ts"),
  ]);
  return { api: new ApiClient(), projectSchema, templateUpdate };
}
