import { Redis } from "ioredis";
import { applicationEnvironment } from "./kubernetes.ts";
import { expect, refusal, type Sight, type Stage } from "./stage.ts";

/** Uses Redis as the project, and is refused another prefix. */
export async function proveRedis(stage: Stage, neighbour: string): Promise<Sight> {
  const url = (await applicationEnvironment(stage))["REDIS_URL"] ?? "";
  const redis = new Redis(url, {
    lazyConnect: true,
    maxRetriesPerRequest: 0,
    // It asks for INFO, which is refused.
    enableReadyCheck: false,
  });
  try {
    await redis.connect();
    const key = `${stage.slug}:proof`;
    await redis.set(key, "hello");
    expect((await redis.get(key)) === "hello", "what was written is read");
    const refused = await refusal(redis.get(`${neighbour}:proof`), "another prefix");
    return [`as user ${stage.slug}: set and got ${key}`, `${neighbour}:proof: ${refused}`];
  } finally {
    redis.disconnect();
  }
}
