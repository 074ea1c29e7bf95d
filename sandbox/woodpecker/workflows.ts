import { basename, matchesGlob } from "node:path";
import { parse } from "yaml";
import { z } from "zod";
import { Refusal } from "./http.ts";
import type { PipelineError, Secret } from "./store.ts";

/** A configuration file of a repository. */
export interface ConfigFile {
  readonly path: string;
  readonly text: string;
}

/** The run that filters are tested against. */
export interface Run {
  readonly event: string;
  readonly branch: string;
  readonly ref: string;
  /** `<owner>/<name>`. */
  readonly repository: string;
}

export interface Step {
  readonly name: string;
  readonly type: "clone" | "service" | "plugin" | "commands";
}

export interface Workflow {
  readonly name: string;
  readonly steps: readonly Step[];
}

/** The workflows of a run. There are none if filters exclude all of them, or after a blocking error. */
export interface Plan {
  readonly workflows: readonly Workflow[];
  readonly errors: readonly PipelineError[];
}

const strings = z.union([z.string().transform((text) => [text]), z.array(z.string())]);
const list = strings.nullish().transform((given) => given ?? []);
const patterns = z
  .union([
    strings.transform((include) => ({ include, exclude: [] as string[] })),
    z.object({ include: list, exclude: list }),
  ])
  .optional();

/** Without `path` and `cron`, which concern other events; `local`, which concerns the command line; and `status`, which filters nothing. */
const constraint = z.object({ event: list, branch: patterns, ref: patterns, repo: patterns });
const when = z
  .union([constraint.transform((one) => [one]), z.array(constraint)])
  .nullish()
  .transform((given) => given ?? []);

const UNKNOWN_FILTERS = ["evaluate", "matrix", "platform", "instance"];

const fields = z.record(z.string(), z.unknown()).nullish();
const container = z.object({
  name: z.string().optional(),
  image: z.string().nullish(),
  commands: list,
  entrypoint: list,
  settings: fields,
  environment: fields,
  depends_on: list,
  when,
});
/** A list, or an object with names as keys. */
const containers = z
  .union([
    z.array(container),
    z
      .record(z.string(), container)
      .transform((named) => Object.entries(named).map(([name, one]) => ({ name, ...one }))),
  ])
  .nullish()
  .transform((given) =>
    (given ?? []).map((one, index) => ({ ...one, name: one.name ?? `step-${index}` })),
  );
const file = z.object({
  when,
  steps: containers,
  services: containers,
  skip_clone: z.boolean().default(false),
});

type Container = z.output<typeof containers>[number];
type Constraints = z.output<typeof when>;

/**
 * Reads, checks and filters a configuration (pipeline/frontend/builder). Variables (`${…}`) are not
 * replaced. @throws Refusal 501 for what the stand-in does not support, such as `matrix`.
 */
export function plan(
  files: readonly ConfigFile[],
  run: Run,
  secrets: ReadonlyMap<string, Pick<Secret, "events" | "images">>,
): Plan {
  const workflows: Workflow[] = [];
  const errors: PipelineError[] = [];
  for (const { path, text } of files.toSorted((a, b) => (a.path < b.path ? -1 : 1))) {
    const name = basename(path)
      .replace(/\.yml$/, "")
      .replace(/\.yaml$/, "")
      .replace(/^\./, "");
    const read = readFile(text);
    if ("message" in read) return { workflows: [], errors: [read] };
    const found = lint(name, read);
    if (found.some(isBlocking)) return { workflows: [], errors: found };
    errors.push(...found);
    if (!matches(read.when, run)) continue;
    const missing = secretProblem(read, run, secrets);
    if (missing) return { workflows: [], errors: [...found, generic(missing)] };
    const steps = stepsOf(read, run);
    if (steps.length > 0) workflows.push({ name, steps });
  }
  return { workflows, errors };
}

/** Whether the error stops the run. */
export function isBlocking({ is_warning: isWarning }: PipelineError): boolean {
  return !isWarning;
}

export function generic(message: string): PipelineError {
  return { type: "generic", message, is_warning: false, data: null };
}

function readFile(text: string): z.output<typeof file> | PipelineError {
  let content: unknown;
  try {
    content = parse(text, { merge: true });
  } catch (error) {
    return { ...generic((error as Error).message), type: "compiler" };
  }
  const unknown = unknownIn(content, ["matrix", "clone", "depends_on"]);
  if (unknown)
    throw new Refusal(501, `The stand-in does not support ${unknown} in a configuration.`);
  const parsed = file.safeParse(content ?? {});
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  return { ...generic(`${issue?.path.join(".")}: ${issue?.message}`), type: "compiler" };
}

/** The first unsupported key or filter at any depth. */
function unknownIn(value: unknown, keys: readonly string[] = []): string | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const inArray = Array.isArray(value) ? keys : [];
  for (const [key, inner] of Object.entries(value)) {
    if (keys.includes(key)) return key;
    const found = unknownIn(inner, key === "when" ? UNKNOWN_FILTERS : inArray);
    if (found) return found;
  }
  return undefined;
}

/** The checks of pipeline/frontend/yaml/linter, without those of the schema and of trust settings. */
function lint(name: string, { when: filters, steps, services }: z.output<typeof file>) {
  const errors: PipelineError[] = [];
  const add = (message: string, field: string, type = "linter") =>
    errors.push({
      type,
      message,
      is_warning: type === "bad_habit",
      data: { file: name, field },
    });
  if (steps.length === 0) add("Invalid or missing `steps` section", "steps");
  for (const [area, all] of Object.entries({ steps, services })) {
    for (const one of all) {
      const field = `${area}.${one.name}`;
      if (!one.image) add("Invalid or missing image", field);
      if (one.settings && one.commands.length > 0) {
        add("Cannot configure both `commands` and `settings`", field);
      }
      if (one.settings && one.entrypoint.length > 0) {
        add("Cannot configure both `entrypoint` and `settings`", field);
      }
      if (one.depends_on.some((wanted) => !all.some((other) => other.name === wanted))) {
        add("One or more of the specified dependencies do not exist", `${field}.depends_on`);
      }
    }
  }
  if (hasEventFilter(filters)) return errors;
  for (const step of steps.filter((one) => !hasEventFilter(one.when))) {
    const advice = "Consider adding a `when` block with an `event` filter to this step";
    add(`${advice} or the entire workflow`, `steps.${step.name}`, "bad_habit");
  }
  return errors;
}

function hasEventFilter(filters: Constraints): boolean {
  return filters.length > 0 && filters.every(({ event }) => event.length > 0);
}

/** Whether a constraint matches the run. An empty list matches every run. */
function matches(filters: Constraints, run: Run): boolean {
  return (
    filters.length === 0 ||
    filters.some(
      ({ event, branch, ref, repo }) =>
        (event.length === 0 || event.includes(run.event)) &&
        passes(branch, run.branch) &&
        passes(ref, run.ref) &&
        passes(repo, run.repository),
    )
  );
}

function passes(filter: z.output<typeof patterns>, value: string): boolean {
  if (!filter) return true;
  const isIn = (all: readonly string[]) => all.some((pattern) => matchesGlob(value, pattern));
  return !isIn(filter.exclude) && (filter.include.length === 0 || isIn(filter.include));
}

/** Why the first step that may not use its secret may not; undefined if all may. */
function secretProblem(
  { steps, services }: z.output<typeof file>,
  run: Run,
  secrets: ReadonlyMap<string, Pick<Secret, "events" | "images">>,
): string | undefined {
  for (const one of [...services, ...steps].filter((each) => matches(each.when, run))) {
    for (const wanted of [...secretsIn(one.settings), ...secretsIn(one.environment)]) {
      const name = wanted.toLowerCase();
      const secret = secrets.get(name);
      if (!secret) return `secret "${name}" not found`;
      if (secret.images?.length && !isPlugin(one)) {
        return (
          `secret "${name}" is only allowed to be used by plugins (a filter has been set on the ` +
          "secret). Note: Image filters do not work for normal steps"
        );
      }
      if (secret.events.length > 0 && !secret.events.includes(run.event)) {
        return `secret "${name}" is not allowed to be used with pipeline event "${run.event}"`;
      }
    }
  }
  return undefined;
}

function secretsIn(value: unknown): string[] {
  if (typeof value !== "object" || value === null) return [];
  const { from_secret: name } = value as { from_secret?: unknown };
  return typeof name === "string" ? [name] : Object.values(value).flatMap(secretsIn);
}

function stepsOf({ skip_clone: skipsClone, steps, services }: z.output<typeof file>, run: Run) {
  const chosen = (all: readonly Container[]) => all.filter((one) => matches(one.when, run));
  return [
    ...(skipsClone ? [] : [{ name: "clone", type: "clone" as const }]),
    ...chosen(services).map(({ name }) => ({ name, type: "service" as const })),
    ...chosen(steps).map((one) => ({
      name: one.name,
      type: isPlugin(one) ? ("plugin" as const) : ("commands" as const),
    })),
  ];
}

function isPlugin({ commands, entrypoint, environment }: Container): boolean {
  const variables = Object.keys(environment ?? {});
  return commands.length + entrypoint.length + variables.length === 0;
}
