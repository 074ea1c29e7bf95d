import { randomUUID } from "node:crypto";
import { type Command, Option } from "commander";
import type { OperationView } from "../../automation/service/schemas/operation.ts";
import { NEVER } from "../../core/lifetime.ts";
import { slugFromName } from "../../core/slug.ts";
import { EXIT, exitCode } from "../exit-codes.ts";
import { confirmed } from "../operation.ts";
import { collectConfig, type ConfigOption, timeSpan } from "../options.ts";
import { outputLines, outputTree } from "../text.ts";

export function addProjects(program: Command): void {
  const projects = program
    .command("projects")
    .description("manage projects through the API of RDEV_INFRA_URL, with the key RDEV_INFRA_KEY");
  projects
    .command("create <name>")
    .description("create a project; its slug is derived from the name")
    .option("--slug <slug>", "use this slug; a project that has it is updated")
    .option("-c, --config <key=value>", "a setting, such as template=skeleton", collectConfig)
    .addOption(
      new Option("--ttl <time>", "its time to live from now, such as 12h or 14d").argParser(
        timeSpan,
      ),
    )
    .option("--rollback", "if it fails, delete what it made; refused if anything existed before")
    .option("--no-wait", "only start it, and print the operation's id")
    .addOption(ifBusy())
    .option("--json", "print events and outcome as lines of JSON")
    .action(create);
  projects
    .command("list")
    .description("list all projects by slug")
    .option("--status <status>", "only this status, such as ready or incomplete")
    .option("--search <text>", "only those with this text in the slug or name")
    .option("--outdated", "only those at another version of the program than the service")
    .option("--labels <labels>", "only those with all of these labels, such as team=shop")
    .option("--json", "print each project as JSON")
    .action(list);
  projects
    .command("show <slug>")
    .description("show one project: its settings, outputs and last operation")
    .option("--json", "print it as JSON")
    .action(show);
  for (const [verb, description] of [
    ["stop", "run no pods of a project; its data, repository and host name stay"],
    ["start", "run the pods of a stopped project again"],
  ] as const) {
    projects
      .command(`${verb} <slug>`)
      .description(description)
      .option("--no-wait", "only start it, and print the operation's id")
      .addOption(ifBusy())
      .option("--json", "print events and outcome as lines of JSON")
      .action((slug: string, options: StartOptions) => change(verb, slug, options));
  }
  projects
    .command("extend <slug>")
    .description("set the end of a project's time to live")
    .addOption(new Option("--ttl <time>", "from now, such as 12h or 14d").argParser(timeSpan))
    .option("--forever", "the project has no end any more")
    .option("--no-wait", "only start it, and print the operation's id")
    .addOption(ifBusy())
    .option("--json", "print events and outcome as lines of JSON")
    .action(extend);
  projects
    .command("destroy <slug>")
    .description("delete a project and everything that was made for it")
    .option("-y, --yes", "go ahead without asking")
    .option("--retain-data", "keep the database")
    .option("--retain-repository", "archive the repository instead of deleting it")
    .option("--no-wait", "only start it, and print the operation's id")
    .addOption(ifBusy())
    .option("--json", "print events and outcome as lines of JSON")
    .action(destroy);
}

export function addSlug(program: Command): void {
  program
    .command("slug <name>")
    .description("print the slug of a project's name")
    .action((name: string) => console.log(slugFromName(name)));
}

function ifBusy(): Option {
  return new Option("--if-busy <what>", "if another operation of the project runs")
    .choices(["wait", "refuse"])
    .default("wait");
}

interface StartOptions {
  readonly wait: boolean;
  readonly ifBusy: "wait" | "refuse";
  readonly json?: boolean;
}

interface CreateOptions extends StartOptions {
  readonly slug?: string;
  readonly config?: ConfigOption;
  readonly rollback?: true;
  readonly ttl?: number;
}

async function create(name: string, options: CreateOptions): Promise<void> {
  const { slug, config = {}, rollback, ttl, ifBusy: busy } = options;
  const json = {
    ...settingsOf(config),
    name,
    ...(ttl !== undefined && { expiresAt: afterNow(ttl) }),
    ...(rollback && { onFailure: "rollback" }),
  };
  const { api, operationSchema } = await open();
  const call = { json, query: { ifBusy: busy }, idempotencyKey: randomUUID() };
  const operation = await (slug === undefined
    ? api.call("POST", "/v1/projects", operationSchema, call)
    : api.call("PUT", projectPath(slug), operationSchema, call));
  process.exitCode = await started(operation, options);
}

async function change(verb: "stop" | "start", slug: string, options: StartOptions): Promise<void> {
  const { api, operationSchema } = await open();
  const call = { query: { ifBusy: options.ifBusy }, idempotencyKey: randomUUID() };
  const path = `${projectPath(slug)}/${verb}`;
  process.exitCode = await started(await api.call("POST", path, operationSchema, call), options);
}

interface ExtendOptions extends StartOptions {
  readonly ttl?: number;
  readonly forever?: true;
}

async function extend(slug: string, { ttl, forever, ...options }: ExtendOptions): Promise<void> {
  if ((ttl === undefined) === (forever === undefined)) {
    console.error("error: pass either --ttl or --forever");
    process.exitCode = EXIT.usage;
    return;
  }
  const { api, operationSchema, projectSchema } = await open();
  await api.call("GET", projectPath(slug), projectSchema); // a PUT would create a project that is gone
  const operation = await api.call("PUT", projectPath(slug), operationSchema, {
    json: { expiresAt: ttl === undefined ? NEVER : afterNow(ttl) },
    query: { ifBusy: options.ifBusy },
    idempotencyKey: randomUUID(),
  });
  process.exitCode = await started(operation, options);
}

/** The time after so many ms, for the setting `expiresAt`. */
function afterNow(ms: number): string {
  return new Date(Date.now() + ms).toISOString();
}

interface DestroyOptions extends StartOptions {
  readonly yes?: boolean;
  readonly retainData?: true;
  readonly retainRepository?: true;
}

async function destroy(slug: string, options: DestroyOptions): Promise<void> {
  const { retainData, retainRepository, ifBusy: busy } = options;
  const { api, operationSchema, follow } = await open();
  const start = (dryRun?: true) =>
    api.call("DELETE", projectPath(slug), operationSchema, {
      query: { ifBusy: busy, retainData, retainRepository, dryRun },
      idempotencyKey: randomUUID(),
    });
  if (!options.wait && options.yes) {
    process.exitCode = await started(await start(), options);
    return;
  }
  process.exitCode = await confirmed(options, {
    preview: async () => follow(api, await start(true), options),
    run: async () => follow(api, await start(), options),
  });
}

interface ListOptions {
  readonly status?: string;
  readonly search?: string;
  readonly outdated?: true;
  readonly labels?: string;
  readonly json?: true;
}

async function list({ json, ...query }: ListOptions): Promise<void> {
  const { api, projectSchema } = await open();
  let count = 0;
  for await (const project of api.items("/v1/projects", projectSchema, query)) {
    const { slug, status, name, urls } = project;
    console.log(json ? JSON.stringify(project) : [slug, status, name, urls.site].join("  "));
    count += 1;
  }
  if (count === 0) {
    const isFiltered = Object.keys(query).length > 0;
    console.error(isFiltered ? "No project matches." : `No projects at ${api.url}.`);
  }
}

async function show(slug: string, { json }: { json?: true }): Promise<void> {
  const { api, projectSchema } = await open();
  const project = await api.call("GET", projectPath(slug), projectSchema);
  if (json) return console.log(JSON.stringify(project));
  const { name, status, platform, settings, outputs, tenantId, lastOperation: last } = project;
  const toLines = process.stdout.isTTY ? outputTree : outputLines;
  console.log(`${slug}: ${status}, on ${platform}`);
  const facts = toLines({ name, ...(tenantId && { tenantId }), settings });
  for (const line of facts) console.log(line);
  if (Object.keys(outputs).length > 0) {
    console.log("Outputs:");
    for (const line of toLines(outputs)) console.log(line);
  }
  if (last) console.log(`Last operation: ${last.request.kind} ${last.state}  ${last.id}`);
}

/** Follows an operation, or prints its id with --no-wait. Returns the exit code. */
async function started(operation: OperationView, options: StartOptions): Promise<number> {
  if (!options.wait) {
    console.log(options.json ? JSON.stringify(operation) : operation.id);
    return EXIT.done;
  }
  const { api, follow } = await open();
  if (!options.json) console.error(`${operation.slug}: operation ${operation.id}`);
  return exitCode(await follow(api, operation, options));
}

/** `--config` gives true and false as text. */
function settingsOf(config: ConfigOption): Record<string, unknown> {
  const values = Object.entries(config).map(([key, value]) => [
    key,
    value === "true" ? true : value === "false" ? false : value,
  ]);
  return Object.fromEntries(values) as Record<string, unknown>;
}

function projectPath(slug: string): string {
  return `/v1/projects/${encodeURIComponent(slug)}`;
}

/** Loads the modules that only these commands need. */
async function open() {
  const [{ ApiClient }, { follow }, { operationSchema }, { projectSchema }] = await Promise.all([
    import("../api/client.ts"),
    import("../api/follow.ts"),
    import("../../automation/service/schemas/operation.ts"),
    import("../../automation/service/schemas/project.ts"),
  ]);
  return { api: new ApiClient(), follow, operationSchema, projectSchema };
}
