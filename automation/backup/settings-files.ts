import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseStackName } from "../../core/stack-name.ts";
import type { Add, Entry } from "./format.ts";

const FOLDER = "settings/";

/** Adds the files of the stacks in the folder. Pulumi has encrypted the secrets in them. */
export async function addSettingsFiles(workDir: string, add: Add): Promise<void> {
  for (const name of (await readdir(workDir)).filter(isSettingsFile).toSorted()) {
    await add(`${FOLDER}${name}`, await readFile(join(workDir, name)));
  }
}

/** The name of a stack's file; undefined for any other entry. */
export function settingsFileOf({ name }: Entry): string | undefined {
  const file = name.startsWith(FOLDER) ? name.slice(FOLDER.length) : "";
  return isSettingsFile(file) ? file : undefined;
}

/** Whether the folder has this file: with the same content, another one, or not. */
export async function compareSettings(
  workDir: string,
  file: string,
  { content }: Entry,
): Promise<"same" | "other" | "missing"> {
  const found = await readFile(join(workDir, file)).catch(() => undefined);
  if (found === undefined) return "missing";
  return found.equals(content) ? "same" : "other";
}

export async function writeSettings(workDir: string, file: string, { content }: Entry) {
  // A file that is there has the same content, and its folder may be read-only.
  await writeFile(join(workDir, file), content, { flag: "wx" }).catch(
    (error: NodeJS.ErrnoException) => {
      if (error.code !== "EEXIST") throw error;
    },
  );
}

/** `Pulumi.staging.yaml`, `Pulumi.staging.my-app.yaml` */
function isSettingsFile(name: string): boolean {
  const [, stack] = /^Pulumi\.(.+)\.yaml$/.exec(name) ?? [];
  if (stack === undefined) return false;
  try {
    parseStackName(stack);
    return true;
  } catch {
    return false;
  }
}
