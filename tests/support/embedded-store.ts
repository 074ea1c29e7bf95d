import { randomBytes } from "node:crypto";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startEmbeddedPostgres } from "../../automation/store/embedded.ts";
import {
  createStoreDatabase,
  queryOnce,
  type StoreDatabase,
} from "../../sandbox/store-database.ts";
import { dropStoreDatabase } from "./test-store.ts";

/** A database without tables, for tests that need nothing else of a sandbox. */
interface EmbeddedStore extends StoreDatabase {
  /** Runs a statement in the database, as the server's administrator. */
  admin(statement: string): Promise<Record<string, unknown>[]>;
  /** Drops the database with everything in it, and makes it anew. */
  lose(): Promise<void>;
  close(): Promise<void>;
}

export async function embeddedStore(): Promise<EmbeddedStore> {
  const server = await serverOfTests();
  const name = `store_${randomBytes(6).toString("hex")}`;
  const made = await createStoreDatabase(server.url, name, () => "planted-Passw0rd");
  const inside = Object.assign(new URL(server.url), { pathname: `/${name}` }).href;
  return {
    ...made,
    admin: (statement) => queryOnce(inside, statement),
    async lose() {
      await queryOnce(server.url, `DROP DATABASE ${name} WITH (FORCE)`);
      await queryOnce(server.url, `CREATE DATABASE ${name} OWNER ${name}_owner`);
    },
    async close() {
      await dropStoreDatabase(server.url, name);
      await server.stop();
    },
  };
}

/** The sandbox's server if there is one, because a new one takes seconds to start. */
async function serverOfTests(): Promise<{ url: string; stop: () => Promise<void> }> {
  const running = process.env["POSTGRES_ADMIN_URL"];
  if (running !== undefined) return { url: running, stop: async () => undefined };
  const folder = await mkdtemp(join(tmpdir(), "rdev-store-"));
  await chmod(folder, 0o711);
  const { ownerUrl: url, stop } = await startEmbeddedPostgres(folder);
  return {
    url,
    async stop() {
      await stop();
      await rm(folder, { recursive: true });
    },
  };
}
