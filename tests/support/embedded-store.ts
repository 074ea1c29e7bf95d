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

/** A database without tables on a PostgreSQL of its own, for tests without the sandbox. */
interface EmbeddedStore extends StoreDatabase {
  /** Runs a statement in the database, as the server's administrator. */
  admin(statement: string): Promise<Record<string, unknown>[]>;
  /** Drops the database with everything in it, and makes it anew. */
  lose(): Promise<void>;
  close(): Promise<void>;
}

export async function embeddedStore(): Promise<EmbeddedStore> {
  const folder = await mkdtemp(join(tmpdir(), "rdev-store-"));
  await chmod(folder, 0o711);
  const server = await startEmbeddedPostgres(folder);
  const name = `store_${randomBytes(6).toString("hex")}`;
  const made = await createStoreDatabase(server.ownerUrl, name, () => "planted-Passw0rd");
  const inside = Object.assign(new URL(server.ownerUrl), { pathname: `/${name}` }).href;
  return {
    ...made,
    admin: (statement) => queryOnce(inside, statement),
    async lose() {
      await queryOnce(server.ownerUrl, `DROP DATABASE ${name} WITH (FORCE)`);
      await queryOnce(server.ownerUrl, `CREATE DATABASE ${name} OWNER ${name}_owner`);
    },
    async close() {
      await server.stop();
      await rm(folder, { recursive: true });
    },
  };
}
