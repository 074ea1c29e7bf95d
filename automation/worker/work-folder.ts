import { copyFile, mkdir, readdir, symlink } from "node:fs/promises";
import { join } from "node:path";

const ROOT = join(import.meta.dirname, "../..");

/**
 * Makes a folder that Pulumi can take for this checkout, so that config files of stacks which come
 * and go do not fall into the repository. Everything is a link, but the config.
 */
export async function makeWorkFolder(folder: string): Promise<string> {
  await mkdir(folder, { mode: 0o700 });
  // A project's config is of whoever runs it; the platform's is a start, to be changed here.
  const names = (await readdir(ROOT)).filter(
    (name) => name !== ".git" && !/^Pulumi\..+\..+\.yaml$/.test(name),
  );
  await Promise.all(
    names.map((name) => {
      const put = name.startsWith("Pulumi.") ? copyFile : symlink;
      return put(join(ROOT, name), join(folder, name));
    }),
  );
  return folder;
}
