import { connection } from "../core/connections.ts";

export interface Database {
  readonly url: string;
  readonly ownerUrl: string;
  stop(): Promise<void>;
}

/**
 * The database of DATABASE_URL; where that is not set, the service's own PostgreSQL: `start`ed, or
 * `join`ed where a service runs it already.
 */
export async function openDatabase(how: "start" | "join"): Promise<Database> {
  if (process.env["DATABASE_URL"] !== undefined) {
    return { ...connection("database"), stop: async () => undefined };
  }
  const embedded = await import("../automation/store/embedded.ts");
  return how === "start" ? embedded.startEmbeddedPostgres() : embedded.joinEmbeddedPostgres();
}
