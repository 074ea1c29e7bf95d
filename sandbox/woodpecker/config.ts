import { basename } from "node:path";
import { parse } from "yaml";
import { z } from "zod";
import { hasEventFilter, when } from "./filters.ts";
import { Refusal } from "./http.ts";
import type { PipelineError } from "./store.ts";

/** A configuration file of a repository. */
export interface ConfigFile {
  readonly path: string;
  readonly text: string;
}

const UNKNOWN_KEYS = ["matrix", "clone", "depends_on", "workspace"];
const UNKNOWN_FILTERS = ["evaluate", "matrix", "platform", "instance"];

const list = z
  .union([z.string().transform((text) => [text]), z.array(z.string())])
  .nullish()
  .transform((given) => given ?? []);
const dependency = z.union([
  z.string().transform((name) => ({ name, optional: false })),
  z.object({ name: z.string(), optional: z.boolean().default(false) }),
]);
const fields = z.record(z.string(), z.unknown()).nullish();
const container = z.object({
  name: z.string().optional(),
  image: z.string().nullish(),
  commands: list,
  entrypoint: list,
  directory: z.string().default(""),
  settings: fields,
  environment: fields,
  /** Undefined means the order of the file. An empty list means at once. */
  depends_on: z
    .union([dependency.transform((one) => [one]), z.array(dependency)])
    .nullish()
    .transform((given) => given ?? undefined),
  failure: z.enum(["fail", "ignore", "cancel"]).default("fail"),
  detach: z.boolean().default(false),
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

export type Container = z.output<typeof containers>[number];
export type Config = z.output<typeof file>;

/** The name of a file's workflow, such as `build` for `.woodpecker/build.yaml`. */
export function workflowName(path: string): string {
  return basename(path)
    .replace(/\.yml$/, "")
    .replace(/\.yaml$/, "")
    .replace(/^\./, "");
}

/** Parses a file. @throws Refusal 501 for what the stand-in does not support, such as `matrix`. */
export function readConfig(text: string): Config | PipelineError {
  let content: unknown;
  try {
    content = parse(text, { merge: true });
  } catch (error) {
    return { ...generic((error as Error).message), type: "compiler" };
  }
  const unknown = unknownIn(content, UNKNOWN_KEYS);
  if (unknown)
    throw new Refusal(501, `The stand-in does not support ${unknown} in a configuration.`);
  const parsed = file.safeParse(content ?? {});
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  return { ...generic(`${issue?.path.join(".")}: ${issue?.message}`), type: "compiler" };
}

export function generic(message: string): PipelineError {
  return { type: "generic", message, is_warning: false, data: null };
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
export function lint(name: string, { when: filters, steps, services }: Config): PipelineError[] {
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
      const required = (one.depends_on ?? []).filter(({ optional }) => !optional);
      if (required.some((wanted) => !all.some((other) => other.name === wanted.name))) {
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

/** Woodpecker's own definition (types/container.go): an image that runs its own program. */
export function isPlugin({ commands, entrypoint, environment }: Container): boolean {
  const variables = Object.keys(environment ?? {});
  return commands.length + entrypoint.length + variables.length === 0;
}
