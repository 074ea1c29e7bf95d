import { connection, hasDatabase } from "../core/connections.ts";

export interface Database {
  readonly url: string;
  stop(): Promise<void>;
}

/**
 * The database of DATABASE_URL, which `rdev-infra store migrate` migrates; where that is not set, the
 * service's own PostgreSQL: `start`ed, or `join`ed where a service runs it already, and migrated.
 */
export async function openDatabase(how: "start" | "join"): Promise<Database> {
  if (hasDatabase()) {
    return { url: connection("database").url, stop: async () => undefined };
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
  return { url, stop: () => server.stop() };
}
