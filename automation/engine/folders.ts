import { copyFile, mkdir, mkdtemp, readdir, rm, symlink } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { pulumiVariables } from "../../core/connections.ts";

/** This package's folder. Pulumi reads its settings here, and plugins find node_modules. */
export const PACKAGE = fileURLToPath(new URL("../../", import.meta.url));

/** Pulumi's own folder, which holds its plugins and logins. */
export function pulumiHome(): string {
  return pulumiVariables().home ?? join(homedir(), ".pulumi");
}

/**
 * Makes a folder that Pulumi can use like this package's own, so that the config files of projects do
 * not end up in the repository. Leaves out the config of projects that are there.
 */
export async function makeWorkFolder(folder: string): Promise<string> {
  await mkdir(folder, { mode: 0o700 });
  await mirror(PACKAGE, folder, (name) => !/^Pulumi\..+\..+\.yaml$/.test(name));
  return folder;
}

/**
 * Runs `work` in a copy of Pulumi's folder, so that nothing Pulumi writes there stays. Leaves out the
 * files of other stacks.
 */
export async function inScratchFolder<T>(
  folder: string,
  stack: string,
  work: (copy: string) => Promise<T>,
): Promise<T> {
  const copy = await mkdtemp(join(tmpdir(), "rdev-infra-scratch-"));
  const wanted = ["Pulumi", `Pulumi.${stack}`];
  try {
    await mirror(folder, copy, (name) => wanted.includes(name.replace(/\.(ya?ml|json)$/, "")));
    return await work(copy);
  } finally {
    await rm(copy, { recursive: true, force: true });
  }
}

/** Copies the wanted ones of Pulumi's own files, which Pulumi may write, and links everything else. */
async function mirror(
  from: string,
  to: string,
  isWanted: (name: string) => boolean,
): Promise<void> {
  const names = (await readdir(from)).filter((name) => name !== ".git");
  await Promise.all(
    names.map(async (name) => {
      const [source, target] = [resolve(from, name), join(to, name)];
      if (!name.startsWith("Pulumi.")) await symlink(source, target);
      else if (isWanted(name)) await copyFile(source, target);
    }),
  );
}
