import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { chown, mkdir, open, readFile, rename, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import pg from "pg";
import { z } from "zod";
import { dataFolders, type Environment, processEnvironment } from "../../core/connections.ts";
import { InfraError } from "../../core/errors.ts";
import { INITDB, isReachable, postgresPrograms, postgresUser } from "./postgres-programs.ts";

const OWNER = "rdev_owner";
const SERVICE = "rdev_service";
const DATABASE = "rdev_infra";
const GUARD = fileURLToPath(new URL("embedded-guard-main.ts", import.meta.url));
/** In ms, for it to start or to end. */
const PATIENCE = 60_000;
const POLL_MS = 100;

/** A PostgreSQL of the service's own, for a machine where there is no other. */
export interface EmbeddedPostgres {
  /** As the role that the service works as. */
  readonly url: string;
  /** As the role that owns the tables. */
  readonly ownerUrl: string;
  /** Ends it; its data stays. Idempotent. */
  stop(): Promise<void>;
}

/** Where it is kept: RDEV_INFRA_DATA, else as the platform has it. */
export function dataFolder(environment?: Environment): string {
  const { own, xdg } = dataFolders(environment);
  if (own) return own;
  // Root's home is closed to the user that PostgreSQL runs as.
  if (postgresUser()) return "/var/lib/rdev-infra";
  return join(xdg ?? join(homedir(), ".local", "share"), "rdev-infra");
}

/**
 * Starts PostgreSQL on a free port of 127.0.0.1, with its data in a folder where it is made at the
 * first start. It ends with this process, in whatever way that ends. Throws RDEV_STORE.
 */
export async function startEmbeddedPostgres(folder = dataFolder()): Promise<EmbeddedPostgres> {
  await mkdir(folder, { recursive: true, mode: 0o711 });
  const user = postgresUser();
  if (user && !(await isReachable(folder))) {
    throw new InfraError(
      "RDEV_STORE",
      `PostgreSQL, which does not run as root, cannot reach ${folder}. Set RDEV_INFRA_DATA to a ` +
        "folder that other users may pass through, or DATABASE_URL to a database that you have.",
    );
  }
  const programs = await postgresPrograms(folder);
  const data = join(folder, "database");
  await untilFree(data);
  const credentials = await credentialsOf(folder);
  const initdb = join(programs.bin, "initdb");
  if (await isNew(data)) await initialize(initdb, folder, data, credentials.owner);
  await requireVersion(data, programs.version);

  const port = await freePort();
  const log = await open(join(folder, "postgres.log"), "a", 0o600);
  const child = spawn(join(programs.bin, "postgres"), serverArguments(data, port), {
    ...user,
    cwd: data,
    env: environment(),
    // Ctrl-C is for the service, which ends it in its turn.
    detached: true,
    stdio: ["ignore", log.fd, log.fd],
  });
  await log.close();
  const server = new Server(child, guard(child));
  const urlOf = (role: string, password: string, database = DATABASE) =>
    `postgres://${role}:${password}@127.0.0.1:${port}/${database}`;
  try {
    await server.untilReady(urlOf(OWNER, credentials.owner, "postgres"));
    await makeRoles(urlOf(OWNER, credentials.owner, "postgres"), credentials.service);
  } catch (cause) {
    await server.stop();
    throw new InfraError(
      "RDEV_STORE",
      `PostgreSQL did not start in ${folder}; postgres.log there says why.`,
      { cause },
    );
  }
  return {
    url: urlOf(SERVICE, credentials.service),
    ownerUrl: urlOf(OWNER, credentials.owner),
    stop: () => server.stop(),
  };
}

/** That of the service that runs on this folder, to be left running; where none does, as above. */
export async function joinEmbeddedPostgres(folder = dataFolder()): Promise<EmbeddedPostgres> {
  // Its fourth line is the port: postgresql.org/docs/current/storage-file-layout.html
  const file = await readFile(join(folder, "database", "postmaster.pid"), "utf8").catch(() => "");
  const [pid, , , port] = file.split("\n").map(Number);
  if (!pid || !port || !isAlive(pid)) return startEmbeddedPostgres(folder);
  const { owner, service } = await credentialsOf(folder);
  const urlOf = (role: string, password: string) =>
    `postgres://${role}:${password}@127.0.0.1:${port}/${DATABASE}`;
  return {
    ...{ url: urlOf(SERVICE, service), ownerUrl: urlOf(OWNER, owner) },
    stop: async () => undefined,
  };
}

class Server {
  readonly #child: ChildProcess;
  readonly #guard: ChildProcess;
  readonly #exit: Promise<void>;
  #hasEnded = false;

  constructor(child: ChildProcess, keeper: ChildProcess) {
    this.#child = child;
    this.#guard = keeper;
    this.#exit = new Promise((resolve) => {
      child.once("exit", () => resolve()).once("error", () => resolve());
    });
    void this.#exit.then(() => (this.#hasEnded = true));
    child.unref();
  }

  async untilReady(url: string): Promise<void> {
    const deadline = Date.now() + PATIENCE;
    for (;;) {
      try {
        return await withClient(url, async () => undefined);
      } catch (error) {
        if (this.#hasEnded || Date.now() > deadline) throw error;
      }
      await sleep(POLL_MS);
    }
  }

  async stop(): Promise<void> {
    this.#child.ref();
    this.#child.kill("SIGINT"); // a fast shutdown: sessions are ended, all is written
    const late = setTimeout(() => this.#child.kill("SIGQUIT"), PATIENCE);
    await this.#exit;
    clearTimeout(late);
    this.#guard.kill("SIGKILL"); // that number may be another process's soon
  }
}

function guard(child: ChildProcess): ChildProcess {
  const keeper = spawn(process.execPath, [GUARD, String(child.pid)], {
    detached: true,
    stdio: ["pipe", "ignore", "ignore"],
    cwd: "/",
    env: {},
  });
  keeper.unref();
  keeper.on("error", () => undefined);
  keeper.stdin?.on("error", () => undefined);
  return keeper;
}

function serverArguments(data: string, port: number): string[] {
  return [
    ...["-D", data, "-p", String(port)],
    ...["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="],
    // In the data folder, so that even a killed server leaves nothing in /dev/shm.
    ...["-c", "dynamic_shared_memory_type=mmap"],
  ];
}

function environment(): NodeJS.ProcessEnv {
  return { PATH: processEnvironment()["PATH"], LANG: "C.UTF-8" };
}

async function isNew(data: string): Promise<boolean> {
  return readFile(join(data, "PG_VERSION")).then(
    () => false,
    () => true,
  );
}

/** All or nothing: it is made beside its place. */
async function initialize(
  initdb: string,
  folder: string,
  data: string,
  password: string,
): Promise<void> {
  const user = postgresUser();
  const draft = `${data}.new`;
  const passwordFile = join(folder, "initial-password");
  await rm(draft, { recursive: true, force: true });
  await mkdir(draft, { mode: 0o700 });
  await writeFile(passwordFile, password, { mode: 0o600 });
  try {
    if (user) {
      await chown(draft, user.uid, user.gid);
      await chown(passwordFile, user.uid, user.gid);
    }
    const own = [`--username=${OWNER}`, `--pgdata=${draft}`, `--pwfile=${passwordFile}`];
    const child = spawn(initdb, [...INITDB, ...own], {
      ...user,
      cwd: draft,
      env: environment(),
      stdio: "ignore",
    });
    const [code] = (await once(child, "exit")) as [number | null];
    if (code !== 0) {
      throw new InfraError("RDEV_STORE", `PostgreSQL's initdb failed in ${folder} (${code}).`);
    }
    await rename(draft, data);
  } finally {
    await rm(passwordFile, { force: true });
  }
}

async function requireVersion(data: string, version: string): Promise<void> {
  const made = (await readFile(join(data, "PG_VERSION"), "utf8")).trim();
  const [major] = version.split(".");
  if (made === major) return;
  throw new InfraError(
    "RDEV_STORE",
    `The data in ${dirname(data)} is of PostgreSQL ${made}, and this version brings ${major}. ` +
      "Dump it with the version of rdev-infra that made it, or use another RDEV_INFRA_DATA.",
  );
}

/** One that belonged to a service that was killed is about to end. */
async function untilFree(data: string): Promise<void> {
  const deadline = Date.now() + 10_000;
  for (;;) {
    const file = await readFile(join(data, "postmaster.pid"), "utf8").catch(() => undefined);
    const pid = Number(file?.split("\n")[0]);
    if (!pid || !isAlive(pid)) return;
    if (Date.now() > deadline) {
      throw new InfraError(
        "RDEV_STORE",
        `The database in ${dirname(data)} is in use by another service (PostgreSQL's process is ` +
          `${pid}). Stop that one, or set RDEV_INFRA_DATA to another folder.`,
      );
    }
    await sleep(POLL_MS);
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

const credentialsFile = z.strictObject({ owner: z.string().min(1), service: z.string().min(1) });

async function credentialsOf(folder: string): Promise<z.output<typeof credentialsFile>> {
  const path = join(folder, "credentials.json");
  const text = await readFile(path, "utf8").catch(() => undefined);
  if (text !== undefined) return credentialsFile.parse(JSON.parse(text));
  const made = { owner: randomBytes(24).toString("hex"), service: randomBytes(24).toString("hex") };
  await writeFile(path, JSON.stringify(made), { mode: 0o600 });
  return made;
}

async function makeRoles(url: string, password: string): Promise<void> {
  await withClient(url, async (client) => {
    const roles = await client.query("SELECT 1 FROM pg_roles WHERE rolname = $1", [SERVICE]);
    if (roles.rowCount === 0) {
      await client.query(`CREATE ROLE ${SERVICE} LOGIN PASSWORD ${pg.escapeLiteral(password)}`);
    }
    const found = await client.query("SELECT 1 FROM pg_database WHERE datname = $1", [DATABASE]);
    if (found.rowCount === 0) await client.query(`CREATE DATABASE ${DATABASE}`);
  });
}

async function withClient<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5_000 });
  client.on("error", () => undefined);
  try {
    await client.connect();
    return await work(client);
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, "close");
  return port;
}
