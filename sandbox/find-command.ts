import { access, constants } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { InfraError } from "../core/errors.ts";

// Servers are installed where a user's PATH often does not look.
const SYSTEM_FOLDERS = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/** The path of a command, or undefined where there is none. */
export async function findCommand(
  name: string,
  path: string = process.env.PATH ?? "",
): Promise<string | undefined> {
  for (const folder of [...path.split(delimiter), ...SYSTEM_FOLDERS]) {
    const file = join(folder, name);
    if (folder && (await isExecutable(file))) return file;
  }
  return undefined;
}

async function isExecutable(file: string): Promise<boolean> {
  return access(file, constants.X_OK).then(
    () => true,
    () => false,
  );
}

/** As `findCommand`, for what was installed before. */
export async function requireCommand(name: string): Promise<string> {
  const path = await findCommand(name);
  if (!path) throw new InfraError("RDEV_PREREQUISITE", `There is no \`${name}\` on this machine.`);
  return path;
}
