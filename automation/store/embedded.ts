import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { chown, mkdir, open, readFile, rename, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import pRetry from "p-retry";
import pg from "pg";
import { z } from "zod";
import { dataFolders, type Environment, processEnvironment } from "../../core/connections.ts";
import { InfraError } from "../../core/errors.ts";
import { isRunning } from "../processes/processes.ts";
import { startReaper, type Reaper } from "../processes/reaper.ts";
import { INITDB, isReachable, postgresPrograms, postgresUser } from "./postgres-programs.ts";

const OWNER = "rdev_owner";
const SERVICE = "rdev_service";
const DATABASE = "rdev_infra";
/** How long PostgreSQL may take to start, and to stop. */
const START_STOP_MS = 60_000;
/** How long to wait for the PostgreSQL of a service that was killed: it is shutting down. */
const PREVIOUS_STOP_MS = 10_000;
const POLL = { retries: Infinity, minTimeout: 100, factor: 1 } as const;

/** A PostgreSQL server that the service runs itself, for a machine that has none. */
interface EmbeddedPostgres {
  /** Connects as the role that the service works as. */
  readonly url: string;
  /** Connects as the role that owns the tables. */
  readonly ownerUrl: string;
  /** Stops the server; its data stays. Idempotent. */
  stop(): Promise<void>;
}

/** RDEV_INFRA_DATA, or the platform's usual place for data. */
function dataFolder(environment?: Environment): string {
  const { own, xdg } = dataFolders(environment);
  if (own) return own;
  // PostgreSQL runs as another user, who cannot enter root's home.
  if (postgresUser()) return "/var/lib/rdev-infra";
  return join(xdg ?? join(homedir(), ".local", "share"), "rdev-infra");
}

/**
 * Starts PostgreSQL on a free port of 127.0.0.1 and makes its data in `folder` at the first start. It
 * stops when this process ends, also after SIGKILL. Throws RDEV_STORE.
 */
export async function startEmbeddedPostgres(folder = dataFolder()): Promise<EmbeddedPostgres> {
  await mkdir(folder, { recursive: true, mode: 0o711 });
  const user = postgresUser();
  if (user && !(await isReachable(folder))) {
    throw new InfraError(
      "RDEV_STORE",
      `PostgreSQL does not run as root, and its user cannot enter ${folder}. Set RDEV_INFRA_DATA to a ` +
        "folder that other users may enter, or DATABASE_URL to an existing database.",
    );
  }
  const programs = await postgresPrograms(folder);
  const data = join(folder, "database");
  await untilUnused(data);
  const credentials = await credentialsIn(folder);
  const initdb = join(programs.bin, "initdb");
  if (await isNew(data)) await initialize(initdb, folder, data, credentials.owner);
  await requireVersion(data, programs.version);

  const port = await freePort();
  const log = await open(join(folder, "postgres.log"), "a", 0o600);
  const reaper = startReaper();
  const child = reaper.spawn(join(programs.bin, "postgres"), serverArguments(data, port), {
    ...user,
    cwd: data,
    env: serverEnvironment(),
    stdio: ["ignore", log.fd, log.fd],
    stopSignal: FAST_SHUTDOWN,
    killAfterMs: START_STOP_MS,
  });
  await log.close();
  const server = new Server(child, reaper);
  const adminUrl = urlOf(port, OWNER, credentials.owner, "postgres");
  try {
    await server.untilReady(adminUrl);
    await makeRoles(adminUrl, credentials.service);
  } catch (cause) {
    await server.stop();
    throw new InfraError(
      "RDEV_STORE",
      `PostgreSQL did not start in ${folder}; see postgres.log there.`,
      { cause },
    );
  }
  return { ...urls(port, credentials), stop: () => server.stop() };
}

/**
 * Connects to the server of the service that runs on this folder; `stop` then leaves it running.
 * Starts a server if no service runs.
 */
export async function joinEmbeddedPostgres(folder = dataFolder()): Promise<EmbeddedPostgres> {
  // The fourth line is the port: postgresql.org/docs/current/storage-file-layout.html
  const file = await readFile(join(folder, "database", "postmaster.pid"), "utf8").catch(() => "");
  const [pid, , , port] = file.split("\n").map(Number);
  if (!pid || !port || !isRunning(pid)) return startEmbeddedPostgres(folder);
  return { ...urls(port, await credentialsIn(folder)), stop: async () => undefined };
}

/** PostgreSQL ends sessions, writes everything to disk and exits. */
const FAST_SHUTDOWN = "SIGINT";
/** PostgreSQL exits at once, and recovers from its log at the next start. */
const IMMEDIATE_SHUTDOWN = "SIGQUIT";

class Server {
  readonly #child: ChildProcess;
  readonly #reaper: Reaper;
  readonly #exit: Promise<void>;
  #hasExited = false;

  constructor(child: ChildProcess, reaper: Reaper) {
    this.#child = child;
    this.#reaper = reaper;
    this.#exit = new Promise((resolve) => {
      child.once("exit", () => resolve()).once("error", () => resolve());
    });
    void this.#exit.then(() => (this.#hasExited = true));
    child.unref();
  }

  async untilReady(url: string): Promise<void> {
    await pRetry(() => withClient(url, async () => undefined), {
      ...POLL,
      maxRetryTime: START_STOP_MS,
      shouldRetry: () => !this.#hasExited,
    });
  }

  async stop(): Promise<void> {
    this.#child.ref();
    this.#child.kill(FAST_SHUTDOWN);
    const timer = setTimeout(() => this.#child.kill(IMMEDIATE_SHUTDOWN), START_STOP_MS);
    await this.#exit;
    clearTimeout(timer);
    await this.#reaper.close();
  }
}

function urls(port: number, { owner, service }: Credentials): { url: string; ownerUrl: string } {
  return { url: urlOf(port, SERVICE, service), ownerUrl: urlOf(port, OWNER, owner) };
}

function urlOf(port: number, role: string, password: string, database = DATABASE): string {
  return `postgres://${role}:${password}@127.0.0.1:${port}/${database}`;
}

function serverArguments(data: string, port: number): string[] {
  const settings = {
    listen_addresses: "127.0.0.1",
    unix_socket_directories: "",
    // Shared memory in the data folder: a killed server then leaves nothing in /dev/shm.
    dynamic_shared_memory_type: "mmap",
  };
  const options = Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
  return ["-D", data, "-p", String(port), ...options];
}

function serverEnvironment(): NodeJS.ProcessEnv {
  return { PATH: processEnvironment()["PATH"], LANG: "C.UTF-8" };
}

async function isNew(data: string): Promise<boolean> {
  return readFile(join(data, "PG_VERSION")).then(
    () => false,
    () => true,
  );
}

/** Works in a draft folder that is renamed at the end, so that `data` is complete or missing. */
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
    const args = [`--username=${OWNER}`, `--pgdata=${draft}`, `--pwfile=${passwordFile}`];
    const child = spawn(initdb, [...INITDB, ...args], {
      ...user,
      cwd: draft,
      env: serverEnvironment(),
      stdio: "ignore",
    });
    const [code] = (await once(child, "exit")) as [number | null];
    if (code !== 0) {
      throw new InfraError("RDEV_STORE", `PostgreSQL's initdb failed in ${folder} (code ${code}).`);
    }
    await rename(draft, data);
  } finally {
    await rm(passwordFile, { force: true });
  }
}

async function requireVersion(data: string, version: string): Promise<void> {
  const found = (await readFile(join(data, "PG_VERSION"), "utf8")).trim();
  const [major] = version.split(".");
  if (found === major) return;
  throw new InfraError(
    "RDEV_STORE",
    `The data in ${dirname(data)} was made by PostgreSQL ${found}, and this version of rdev-infra ` +
      `brings PostgreSQL ${major}. Dump it with the version of rdev-infra that made it, or set ` +
      "RDEV_INFRA_DATA to another folder.",
  );
}

/** Throws RDEV_STORE if another server keeps using the data. */
async function untilUnused(data: string): Promise<void> {
  const requireUnused = async () => {
    const file = await readFile(join(data, "postmaster.pid"), "utf8").catch(() => undefined);
    const pid = Number(file?.split("\n")[0]);
    if (!pid || !isRunning(pid)) return;
    throw new InfraError(
      "RDEV_STORE",
      `The database in ${dirname(data)} is in use by another service (PostgreSQL's process is ` +
        `${pid}). Stop that service, or set RDEV_INFRA_DATA to another folder.`,
    );
  };
  await pRetry(requireUnused, { ...POLL, maxRetryTime: PREVIOUS_STOP_MS });
}

const credentialsFile = z.strictObject({ owner: z.string().min(1), service: z.string().min(1) });

type Credentials = z.output<typeof credentialsFile>;

/** The passwords in the folder's file; makes them if there are none. */
async function credentialsIn(folder: string): Promise<Credentials> {
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
    const databases = await client.query("SELECT 1 FROM pg_database WHERE datname = $1", [
      DATABASE,
    ]);
    if (databases.rowCount === 0) await client.query(`CREATE DATABASE ${DATABASE}`);
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
