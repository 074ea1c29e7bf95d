import { readdirSync, readFileSync, statSync } from "node:fs";
import { chmod, mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { InfraError } from "../../core/errors.ts";
import { refuseUnknownVariables, type TemplateFile, templateVersion } from "../../core/template.ts";

const TEMPLATES = fileURLToPath(new URL("../../templates/", import.meta.url));

/** The files of a template. Throws RDEV_TEMPLATE if it does not exist or uses unknown variables. */
export function readTemplate(template: string, root = TEMPLATES): TemplateFile[] {
  const folder = join(root, template);
  const files = list(folder, template)
    .sort()
    .map((name) => ({ name, stat: statSync(join(folder, name)) }))
    .filter(({ stat }) => stat.isFile())
    .map(({ name, stat }) => ({
      path: name.replaceAll("\\", "/"),
      content: readFileSync(join(folder, name)),
      executable: (stat.mode & 0o100) !== 0,
    }));
  refuseUnknownVariables(template, files);
  return files;
}

export interface Template {
  readonly name: string;
  readonly version: string;
  /** Its README.md, with the template's variables as they are. */
  readonly readme: string | undefined;
}

const known = new Map<string, readonly Template[]>();

/**
 * Every template by its name. Leaves out a template that is not valid. Reads the folder once, because
 * templates do not change while a process runs.
 */
export function listTemplates(root = TEMPLATES): readonly Template[] {
  const before = known.get(root);
  if (before) return before;
  const folders = readdirSync(root, { withFileTypes: true }).filter((each) => each.isDirectory());
  const found = folders
    .map(({ name }) => name)
    .sort()
    .flatMap((name): Template[] => {
      try {
        const files = readTemplate(name, root);
        const readme = files.find(({ path }) => path === "README.md")?.content.toString();
        return [{ name, version: templateVersion(files), readme }];
      } catch {
        return []; // an update or an up of its projects says why
      }
    });
  known.set(root, found);
  return found;
}

/** The newest version of every template by its name. */
export function newestVersions(root = TEMPLATES): Readonly<Record<string, string>> {
  return Object.fromEntries(listTemplates(root).map(({ name, version }) => [name, version]));
}

/** Writes a template's files into a folder. */
export async function writeFiles(folder: string, files: readonly TemplateFile[]): Promise<void> {
  for (const { path, content, executable } of files) {
    const target = join(folder, path);
    await mkdir(dirname(target), { recursive: true });
    await writeFile(target, content);
    if (executable) await chmod(target, 0o755);
  }
}

function list(folder: string, template: string): string[] {
  try {
    return readdirSync(folder, { recursive: true, encoding: "utf8" });
  } catch (cause) {
    const text = `There is no template "${template}": add a folder of that name under templates/.`;
    throw new InfraError("RDEV_TEMPLATE", text, { cause });
  }
}
