import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseDocument } from "yaml";
import { fieldsOfSecrets, secretsOfFile, type StackSecrets } from "../../core/secrets-provider.ts";
import { haveSameConfig } from "../../core/stack-settings-file.ts";
import { parseStackName } from "../../core/stack-name.ts";
import type { Add, Entry } from "./format.ts";

const FOLDER = "settings/";

/**
 * Adds the files of the stacks in the folder. Pulumi has encrypted the secrets in them. A file that does
 * not say with what, as in the cluster, gets what the stack's state says.
 */
export async function addSettingsFiles(
  workDir: string,
  add: Add,
  secrets: ReadonlyMap<string, StackSecrets | undefined>,
): Promise<void> {
  for (const name of (await readdir(workDir)).toSorted()) {
    const stack = stackOfFile(name);
    if (stack === undefined) continue;
    const text = await readFile(join(workDir, name), "utf8");
    await add(`${FOLDER}${name}`, withSecrets(text, secrets.get(stack)));
  }
}

function withSecrets(text: string, secrets: StackSecrets | undefined): string {
  const content = parseDocument(text);
  if (!secrets || content.errors.length > 0 || secretsOfFile(content.toJS())) return text;
  for (const [field, value] of Object.entries(fieldsOfSecrets(secrets))) content.set(field, value);
  return content.toString();
}

/** The name of a stack's file; undefined for any other entry. */
export function settingsFileOf({ name }: Entry): string | undefined {
  const file = name.startsWith(FOLDER) ? name.slice(FOLDER.length) : "";
  return stackOfFile(file) === undefined ? undefined : file;
}

/** Whether the folder has this file: with the same config, another one, or not. */
export async function compareSettings(
  workDir: string,
  file: string,
  { content }: Entry,
): Promise<"same" | "other" | "missing"> {
  const found = await readFile(join(workDir, file), "utf8").catch(() => undefined);
  if (found === undefined) return "missing";
  const archived = content.toString();
  return found === archived || haveSameConfig(found, archived) ? "same" : "other";
}

export async function writeSettings(workDir: string, file: string, { content }: Entry) {
  // A file that is there has the same config, and its folder may be read-only.
  await writeFile(join(workDir, file), content, { flag: "wx" }).catch(
    (error: NodeJS.ErrnoException) => {
      if (error.code !== "EEXIST") throw error;
    },
  );
}

/** The stack of `Pulumi.staging.yaml` or `Pulumi.staging.my-app.yaml`; undefined for any other file. */
function stackOfFile(name: string): string | undefined {
  const [, stack] = /^Pulumi\.(.+)\.yaml$/.exec(name) ?? [];
  if (stack === undefined) return undefined;
  try {
    parseStackName(stack);
    return stack;
  } catch {
    return undefined;
  }
}
