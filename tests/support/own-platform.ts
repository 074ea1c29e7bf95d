import { copyFile, mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeWorkFolder } from "../../automation/engine/folders.ts";
import { PLATFORM as STAGING } from "../../sandbox/platform.ts";
import { withVariables } from "./variables.ts";

interface OwnPlatform {
  /** Holds the stacks' files. */
  readonly workDir: string;
  /** Runs with the servers of the sandbox, but without staging's states, and records nothing. */
  as<T>(work: () => Promise<T>, more?: Readonly<Record<string, string | undefined>>): Promise<T>;
  remove(): Promise<void>;
}

/** A platform with a backend of its own. Its settings begin as those of staging. */
export async function ownPlatform(platform: string): Promise<OwnPlatform> {
  const folder = await mkdtemp(join(tmpdir(), `rdev-${platform}-`));
  const workDir = await makeWorkFolder(join(folder, "work"));
  await mkdir(join(folder, "state"));
  const file = (stack: string) => join(workDir, `Pulumi.${stack}.yaml`);
  await copyFile(file(STAGING), file(platform));
  const variables = {
    PULUMI_BACKEND_URL: `file://${join(folder, "state")}?metadata=skip`,
    DATABASE_URL: undefined,
  };
  return {
    workDir,
    as: (work, more = {}) => withVariables({ ...variables, ...more }, work),
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}
