import {
  type Config,
  type ConfigFile,
  type Container,
  generic,
  isPlugin,
  lint,
  readConfig,
  workflowName,
} from "./config.ts";
import { matches, type Run, runsOn } from "./filters.ts";
import { stagesOf } from "./stages.ts";
import type { PipelineError, Secret } from "./store.ts";
import { substitute } from "./substitute.ts";

/** A step with everything that is needed to run it. */
export interface Step {
  readonly name: string;
  readonly type: "clone" | "service" | "plugin" | "commands";
  readonly image: string;
  readonly commands: readonly string[];
  readonly entrypoint: readonly string[];
  /** Relative to the workspace; empty for the workspace itself. */
  readonly directory: string;
  /** The step's own variables, with the values of secrets. */
  readonly environment: Readonly<Record<string, string>>;
  readonly failure: "fail" | "ignore" | "cancel";
  readonly detach: boolean;
  /** Whether it runs while all steps before it succeeded, and once one of them failed. */
  readonly runsOn: { readonly success: boolean; readonly failure: boolean };
}

export interface Workflow {
  readonly name: string;
  /** The stages run one after the other, the steps of a stage at the same time. */
  readonly stages: readonly (readonly Step[])[];
  /** The variables of all its steps. */
  readonly environment: Readonly<Record<string, string>>;
}

/** The workflows of a run. There are none if filters exclude all of them, or after a blocking error. */
export interface Plan {
  readonly workflows: readonly Workflow[];
  readonly errors: readonly PipelineError[];
}

/** The secrets of a repository, by name. */
export type Secrets = ReadonlyMap<
  string,
  Pick<Secret, "events" | "images"> & { readonly value: string }
>;

/** The variables of a workflow, such as `CI_COMMIT_SHA`. */
export type Variables = (workflow: { name: string; number: number }) => Record<string, string>;

/** The image that clones a repository (shared/constant/constant.go, without its version). */
export const CLONE_IMAGE = "woodpeckerci/plugin-git";

/**
 * Reads, checks and filters a configuration (pipeline/frontend/builder). @throws Refusal 501 for what
 * the stand-in does not support, such as `matrix`.
 */
export function plan(
  files: readonly ConfigFile[],
  run: Run,
  secrets: Secrets,
  variables: Variables = () => ({}),
): Plan {
  const workflows: Workflow[] = [];
  const errors: PipelineError[] = [];
  for (const { path, text } of files.toSorted((a, b) => (a.path < b.path ? -1 : 1))) {
    const name = workflowName(path);
    const environment = variables({ name, number: workflows.length + 1 });
    const config = readConfig(substitute(text, environment));
    if ("message" in config) return { workflows: [], errors: [config] };
    const found = lint(name, config);
    if (found.some(isBlocking)) return { workflows: [], errors: found };
    errors.push(...found);
    if (!matches(config.when, run)) continue;
    const refuse = (problem: string) => ({ workflows: [], errors: [...found, generic(problem)] });
    const missing = secretProblem(config, run, secrets);
    if (missing) return refuse(missing);
    const stages = stagesOfWorkflow(config, run, secrets);
    if (typeof stages === "string") return refuse(stages);
    if (stages.length > 0) workflows.push({ name, stages, environment });
  }
  return { workflows, errors };
}

/** Whether the error stops the run. */
export function isBlocking({ is_warning: isWarning }: PipelineError): boolean {
  return !isWarning;
}

/** Why the first step that may not use its secret may not; undefined if all may. */
function secretProblem(
  { steps, services }: Config,
  run: Run,
  secrets: Secrets,
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
  const name = secretName(value);
  return name === undefined ? Object.values(value).flatMap(secretsIn) : [name];
}

function secretName(value: object): string | undefined {
  const { from_secret: name } = value as { from_secret?: unknown };
  return typeof name === "string" ? name : undefined;
}

function stagesOfWorkflow(
  { skip_clone: skipsClone, steps, services }: Config,
  run: Run,
  secrets: Secrets,
): Step[][] | string {
  const chosen = (all: readonly Container[]) => all.filter((one) => matches(one.when, run));
  const ordered = stagesOf(
    chosen(steps).map((one) => ({ ...one, dependsOn: one.depends_on, container: one })),
  );
  if (typeof ordered === "string") return ordered;
  const started = chosen(services).map((one) => stepOf(one, "service", run, secrets));
  return [
    ...(skipsClone ? [] : [[CLONE]]),
    ...(started.length > 0 ? [started] : []),
    ...ordered.map((stage) =>
      stage.map(({ container }) =>
        stepOf(container, isPlugin(container) ? "plugin" : "commands", run, secrets),
      ),
    ),
  ];
}

const CLONE: Step = {
  name: "clone",
  type: "clone",
  image: CLONE_IMAGE,
  commands: [],
  entrypoint: [],
  directory: "",
  environment: {},
  failure: "fail",
  detach: false,
  runsOn: { success: true, failure: false },
};

function stepOf(container: Container, type: Step["type"], run: Run, secrets: Secrets): Step {
  const { name, commands, entrypoint, directory, failure, detach } = container;
  return {
    name,
    type,
    image: container.image ?? "",
    commands,
    entrypoint,
    directory,
    environment: Object.fromEntries(
      Object.entries(container.environment ?? {})
        .filter(([, value]) => value !== null && value !== undefined)
        .map(([key, value]) => [key, asVariable(value, secrets)]),
    ),
    failure,
    detach: detach || type === "service",
    runsOn: runsOn(container.when, run),
  };
}

/** A value of the configuration as text: lists with commas, objects as JSON (settings/params.go). */
function asVariable(value: unknown, secrets: Secrets): string {
  const plain = withSecrets(value, secrets);
  if (!Array.isArray(plain)) return asText(plain);
  const isSimple = plain.every((one) => typeof one !== "object" || one === null);
  return isSimple ? plain.map(asText).join(",") : JSON.stringify(plain);
}

function asText(value: unknown): string {
  if (value === null || value === undefined) return "";
  return typeof value === "string" ? value : JSON.stringify(value);
}

function withSecrets(value: unknown, secrets: Secrets): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map((one) => withSecrets(one, secrets));
  const name = secretName(value);
  if (name !== undefined) return secrets.get(name.toLowerCase())?.value ?? "";
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [key, withSecrets(inner, secrets)]),
  );
}
