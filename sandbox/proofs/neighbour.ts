import { randomBytes } from "node:crypto";
import { databaseName } from "../../core/slug.ts";
import type { Provider } from "../../providers/dynamic/provider.ts";
import { provider as database } from "../../providers/postgres/database.ts";
import { provider as user } from "../../providers/redis/user.ts";
import { PLATFORM } from "../platform.ts";

/**
 * Creates the database and the Redis user of another project, which a proven project must not reach.
 * They come from the same providers as a stack's. `variables` are copied to `process.env`, where the
 * providers read their connections.
 */
export async function makeNeighbour(
  slug: string,
  variables: Readonly<Record<string, string>>,
): Promise<{ remove(): Promise<void> }> {
  Object.assign(process.env, variables);
  const password = randomBytes(16).toString("hex");
  const owner = { platform: PLATFORM, project: slug, stack: randomBytes(8).toString("hex") };
  const removals = await Promise.all([
    make(database, { name: databaseName(slug), owner, password, connectionLimit: 1 }),
    make(user, { name: slug, prefix: `${slug}:`, owner, password }),
  ]);
  return {
    async remove() {
      await Promise.all(removals.map((remove) => remove()));
    },
  };
}

/** Creates a resource as the engine does. Returns a function that deletes it. */
async function make(provider: Provider, args: Record<string, unknown>) {
  const { inputs } = await provider.check(undefined, args);
  const { id, outs } = await provider.create(inputs);
  return () => provider.delete(id, outs);
}
