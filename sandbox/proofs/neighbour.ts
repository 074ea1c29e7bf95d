import { randomBytes } from "node:crypto";
import { databaseName } from "../../core/slug.ts";
import type { Provider } from "../../providers/dynamic/provider.ts";
import { provider as database } from "../../providers/postgres/database.ts";
import { provider as user } from "../../providers/redis/user.ts";
import { PLATFORM } from "../platform.ts";

/**
 * Another project's database and Redis user, made by the same providers as a stack's, for a project
 * to be refused. `variables` are put into this process's environment, where providers look.
 */
export async function makeNeighbour(
  slug: string,
  variables: Readonly<Record<string, string>>,
): Promise<{ remove(): Promise<void> }> {
  Object.assign(process.env, variables);
  const password = randomBytes(16).toString("hex");
  const owner = { platform: PLATFORM, project: slug, stack: randomBytes(8).toString("hex") };
  const made = await Promise.all([
    make(database, { name: databaseName(slug), owner, password, connectionLimit: 1 }),
    make(user, { name: slug, prefix: `${slug}:`, owner, password }),
  ]);
  return {
    async remove() {
      await Promise.all(made.map((remove) => remove()));
    },
  };
}

/** Makes one as the engine does, and tells how to delete it. */
async function make(provider: Provider, args: Record<string, unknown>) {
  const { inputs } = await provider.check(undefined, args);
  const { id, outs } = await provider.create(inputs);
  return () => provider.delete(id, outs);
}
