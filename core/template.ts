import { createHash } from "node:crypto";
import { problems } from "./errors.ts";

/** The variables that a template may use, as `{{NAME}}`. docs/templates.md is made from this. */
export const TEMPLATE_VARIABLES = {
  PROJECT_NAME: "The project's name as a person wrote it: My First Project!",
  PROJECT_SLUG: "The project's slug: my-first-project.",
  DOMAIN: "The platform's domain: staging.example.com.",
  HOST: "The project's host name: my-first-project.staging.example.com.",
  REGISTRY: "The image registry: registry.staging.example.com.",
  REGISTRY_HOST: "The image registry's host, without a path. A client logs in to it.",
  IMAGE: "The project's image without a tag: <REGISTRY>/<PROJECT_SLUG>.",
  NAMESPACE: "The project's Kubernetes namespace.",
  KUBERNETES_API: "The address of the Kubernetes API, as seen from a pipeline.",
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

const VARIABLE = /\{\{([A-Za-z0-9_]+)\}\}/g;

/** Throws one RDEV_TEMPLATE that names every unknown variable with its file and line. */
export function refuseUnknownVariables(template: string, files: readonly TemplateFile[]): void {
  const unknown = files.flatMap((file) =>
    isText(file.content) ? unknownVariables(file.path, file.content.toString()) : [],
  );
  if (unknown.length === 0) return;
  throw problems(
    "RDEV_TEMPLATE",
    `The template "${template}" uses unknown variables ` +
      `(the variables are ${Object.keys(TEMPLATE_VARIABLES).join(", ")}):`,
    unknown,
  );
}

/** The file with its variables filled in. A binary file is returned unchanged. */
export function renderFile(file: TemplateFile, values: TemplateValues): TemplateFile {
  if (!isText(file.content)) return file;
  return { ...file, content: Buffer.from(renderText(file.content.toString(), values)) };
}

/** Fills in each variable once: a value that looks like a variable stays as it is. */
export function renderText(text: string, values: TemplateValues): string {
  return text.replace(VARIABLE, (whole, name: string) =>
    Object.hasOwn(values, name) ? values[name as TemplateVariable] : whole,
  );
}

/** The version of a template before its variables are filled in: a hash of all its files. */
export function templateVersion(files: readonly TemplateFile[]): string {
  const hash = createHash("sha256");
  for (const { path, content, executable } of files) {
    hash.update(`${path}\0${executable}\0${content.length}\0`).update(content);
  }
  return hash.digest("hex").slice(0, 16);
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

function isText(content: Buffer): boolean {
  return !content.includes(0);
}
