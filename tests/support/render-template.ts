import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import {
  renderFile,
  TEMPLATE_VARIABLES,
  type TemplateFile,
  type TemplateValues,
} from "../../core/template.ts";
import { readTemplate } from "../../providers/git/template.ts";

/** Writes the files of a template for a project into a folder, and returns them. */
export function renderTemplate(template: string, slug: string, folder: string): TemplateFile[] {
  const names = Object.keys(TEMPLATE_VARIABLES);
  const values = {
    ...(Object.fromEntries(
      names.map((name) => [name, `value-of-${name.toLowerCase()}`]),
    ) as unknown as TemplateValues),
    PROJECT_SLUG: slug,
  };
  const files = readTemplate(template).map((file) => renderFile(file, values));
  for (const { path, content } of files) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), content);
  }
  return files;
}
