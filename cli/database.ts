import { hostname, userInfo } from "node:os";
import { Option } from "commander";
import type { Outcome } from "../core/operation.ts";
import type { Recording } from "../automation/operations/record-operation.ts";
import type { Store } from "../automation/store/store.ts";
import { connection, hasDatabase } from "../core/connections.ts";
import { userMessage } from "../core/errors.ts";
import type { ProjectChanges } from "../core/settings.ts";
import { projectStackName } from "../core/stack-name.ts";

/** Opens the database of DATABASE_URL for one command. */
export async function withStore<T>(work: (store: Store) => Promise<T>): Promise<T> {
  // kysely and pg load slowly, so only the commands that need them import them.
  const { Store: Opened } = await import("../automation/store/store.ts");
  const store = new Opened();
  try {
    return await work(store);
  } finally {
    await store.close();
  }
}

export interface Database {
  readonly url: string;
  /** The URL of the role that owns the tables. */
  readonly ownerUrl: string;
  stop(): Promise<void>;
}

/**
 * Opens the database of the service. DATABASE_URL names one that `rdev-infra store migrate` migrates.
 * Without it, the service's own PostgreSQL is started, or joined if a service already runs it, and
 * migrated here.
 */
export async function openDatabase(how: "start" | "join"): Promise<Database> {
  if (hasDatabase()) {
    return { ...connection("database"), stop: async () => undefined };
  }
  const embedded = await import("../automation/store/embedded.ts");
  const { migrate } = await import("../automation/store/migrate.ts");
  const server = await (how === "start"
    ? embedded.startEmbeddedPostgres()
    : embedded.joinEmbeddedPostgres());
  const { url, ownerUrl } = server;
  try {
    await migrate({ ownerUrl, serviceRole: new URL(url).username });
  } catch (error) {
    await server.stop();
    throw error;
  }
  return { url, ownerUrl, stop: () => server.stop() };
}

type FormerSettings = (stack: string) => ProjectChanges | undefined;

/**
 * Reads the settings of all projects from the database of DATABASE_URL. A preview needs them only for
 * stacks that are older than the settings record, so it goes on if the database cannot be read.
 */
export async function formerSettings(): Promise<FormerSettings> {
  if (!hasDatabase()) return () => undefined;
  try {
    const { Projects } = await import("../automation/store/projects.ts");
    const known = await withStore((store) => new Projects(store).list());
    const settings = new Map(
      known.map((each) => [projectStackName(each.platform, each.slug), each.settings]),
    );
    return (stack) => settings.get(stack);
  } catch (error) {
    console.error(
      `${userMessage(error)} The preview continues without the settings stored at DATABASE_URL.`,
    );
    return () => undefined;
  }
}

/** The options of every command that the audit log records. */
export interface RecorderOptions {
  readonly actor: string;
}

type Recorder = (
  what: Omit<Recording, "store" | "actor">,
  run: (formerly?: ProjectChanges) => Promise<Outcome>,
) => Promise<Outcome>;

export function actorOption(): Option {
  return new Option("--actor <name>", "who does this, for the audit log").default(whoRuns());
}

/**
 * Returns a function that records an operation in the audit log of DATABASE_URL, or only runs it if
 * that variable is not set. Throws RDEV_CONNECTION before anything is shown.
 */
export function recorder({ actor }: RecorderOptions): Recorder {
  if (!hasDatabase()) return (_what, run) => run();
  connection("database");
  return (what, run) =>
    withStore(async (store) => {
      const [{ recordOperation }, { programVersion }] = await Promise.all([
        import("../automation/operations/record-operation.ts"),
        import("../automation/rollouts/program-version.ts"),
      ]);
      const version = what.operation === "up" ? await programVersion() : undefined;
      return recordOperation(
        { ...what, store, actor, ...(version !== undefined && { programVersion: version }) },
        run,
      );
    });
}

/** The user and machine that run this command, such as `ada@laptop`. */
export function whoRuns(): string {
  try {
    return `${userInfo().username}@${hostname()}`;
  } catch {
    // A container may run as a user id without a name.
    return `${process.getuid?.() ?? "unknown"}@${hostname()}`;
  }
}
