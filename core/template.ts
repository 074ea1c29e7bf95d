import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { InfraError, problems } from "./errors.ts";

/** Every variable that a template may use, as `{{NAME}}`. docs/templates.md is made from this. */
export const TEMPLATE_VARIABLES = {
  PROJECT_NAME: "The project's name as a person wrote it: My First Project!",
  PROJECT_SLUG: "The project's slug: my-first-project.",
  DOMAIN: "The platform's domain: staging.example.com.",
  HOST: "Where the project is served: my-first-project.staging.example.com.",
  REGISTRY: "The image registry: registry.staging.example.com.",
  REGISTRY_HOST: "The image registry's host, without a path: what a client logs in to.",
  IMAGE: "The project's image without a tag: <REGISTRY>/<PROJECT_SLUG>.",
  NAMESPACE: "The project's Kubernetes namespace.",
  KUBERNETES_API: "The address of the Kubernetes API, as a pipeline reaches it.",
  CITADEL_TENANT_ID: "The project's environment in Citadel, a UUID; empty without Citadel.",
} as const;

export type TemplateVariable = keyof typeof TEMPLATE_VARIABLES;
export type TemplateValues = Readonly<Record<TemplateVariable, string>>;

export interface TemplateFile {
  /** Relative to the template's folder, with `/`. */
  readonly path: string;
  readonly content: Buffer;
  readonly executable: boolean;
}

const TEMPLATES = fileURLToPath(new URL("../templates/", import.meta.url));
const VARIABLE = /\{\{([A-Za-z0-9_]+)\}\}/g;

/**
 * The files of a template. Throws one RDEV_TEMPLATE that names every unknown variable with its file
 * and line, or that the template does not exist.
 */
export function readTemplate(template: string, root = TEMPLATES): TemplateFile[] {
  const folder = join(root, template);
  const files = list(folder, template);
  const unknown = files.flatMap((file) =>
    isText(file.content) ? unknownVariables(file.path, file.content.toString()) : [],
  );
  if (unknown.length > 0) {
    throw problems(
      "RDEV_TEMPLATE",
      `The template "${template}" uses variables that do not exist ` +
        `(there are ${Object.keys(TEMPLATE_VARIABLES).join(", ")}):`,
      unknown,
    );
  }
  return files;
}

/** The file with its variables filled in. What is not text stays as it is. */
export function renderFile(file: TemplateFile, values: TemplateValues): TemplateFile {
  if (!isText(file.content)) return file;
  return { ...file, content: Buffer.from(renderText(file.content.toString(), values)) };
}

/** Values are put in as they are, once: a value that looks like a variable stays text. */
export function renderText(text: string, values: TemplateValues): string {
  return text.replace(VARIABLE, (whole, name: string) =>
    Object.hasOwn(values, name) ? values[name as TemplateVariable] : whole,
  );
}

function unknownVariables(path: string, text: string): string[] {
  return text
    .split("\n")
    .flatMap((line, index) =>
      [...line.matchAll(VARIABLE)]
        .filter(([, name = ""]) => !Object.hasOwn(TEMPLATE_VARIABLES, name))
        .map(([whole]) => `${path}:${index + 1}: ${whole}`),
    );
}

function list(folder: string, template: string): TemplateFile[] {
  let names: string[];
  try {
    names = readdirSync(folder, { recursive: true, encoding: "utf8" });
  } catch (cause) {
    const text = `There is no template "${template}": add a folder of that name under templates/.`;
    throw new InfraError("RDEV_TEMPLATE", text, { cause });
  }
  return names
    .sort()
    .map((name) => ({ name, stat: statSync(join(folder, name)) }))
    .filter(({ stat }) => stat.isFile())
    .map(({ name, stat }) => ({
      path: name.replaceAll("\\", "/"),
      content: readFileSync(join(folder, name)),
      executable: (stat.mode & 0o100) !== 0,
    }));
}

function isText(content: Buffer): boolean {
  return !content.includes(0);
}
