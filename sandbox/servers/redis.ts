import { createHash } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Redis } from "ioredis";
import { type Context, type Part, partFolder } from "../context.ts";
import { requireCommand, run, startServer } from "../process.ts";

const ADMIN = "rdev-admin";

export interface RedisServer {
  /** The administrator's URL. */
  readonly url: string;
  readonly part: Part;
}

/** Starts Redis without the default user, and with an ACL file, so that `ACL SAVE` works. */
export async function startRedis(context: Context): Promise<RedisServer> {
  const folder = await partFolder(context, "redis");
  const command = await requireCommand("redis-server");
  const port = context.ports.take();
  const password = context.secrets.make();
  const hash = createHash("sha256").update(password).digest("hex");
  const users = join(folder, "users.acl");
  await writeFile(users, `user default off\nuser ${ADMIN} on #${hash} ~* &* +@all\n`, {
    mode: 0o600,
  });
  const url = `redis://${ADMIN}:${password}@127.0.0.1:${port}`;
  await startServer(context, {
    name: "redis",
    command,
    args: [
      ...["--port", String(port), "--bind", "127.0.0.1", "--dir", folder],
      ...["--aclfile", users, "--save", "", "--appendonly", "no"],
    ],
    folder,
    ready: () => answers(url),
  });
  return {
    url,
    part: {
      name: "Redis",
      real: true,
      version: await version(context, command, folder),
      address: `127.0.0.1:${port}`,
      reach: "REDIS_ADMIN_URL is the administrator's: redis-cli -u $REDIS_ADMIN_URL",
    },
  };
}

async function answers(url: string): Promise<void> {
  const client = new Redis(url, {
    lazyConnect: true,
    retryStrategy: () => null,
    maxRetriesPerRequest: 0,
    connectTimeout: 2_000,
  });
  client.on("error", () => undefined);
  try {
    await client.connect();
    await client.ping();
  } finally {
    client.disconnect();
  }
}

async function version(context: Context, command: string, folder: string): Promise<string> {
  const text = await run(context.reaper, command, ["--version"], { folder });
  return /v=(\S+)/.exec(text)?.[1] ?? "unknown";
}
