import { type Check, clock, failed, ok, warning } from "../check.ts";
import { Redis } from "./client.ts";

/** The oldest major version: it has selectors, and ACL DRYRUN. */
const OLDEST = 7;

async function examine(): Promise<Awaited<ReturnType<Redis["examine"]>>> {
  const redis = await Redis.connect();
  try {
    return await redis.examine();
  } finally {
    await redis.close();
  }
}

function check(name: string, run: Check["run"]): Check {
  return { system: "Redis", name, needs: ["redis"], run };
}

export const checks: readonly Check[] = [
  check("version", async () => {
    const { version } = await examine();
    if (Number.parseInt(version, 10) >= OLDEST) return ok(version);
    return failed(`is ${version}, which is too old`, "Upgrade the server to 7 or newer.");
  }),
  check("user", async () => {
    const { user, refused } = await examine();
    if (refused.length === 0) return ok(`${user} may manage users and their keys`);
    return failed(
      `${user} of REDIS_ADMIN_URL may not use ${refused.join(", ")}`,
      `Give it all rights: ACL SETUSER ${user} ~* &* +@all`,
    );
  }),
  check("persistence", async () => {
    if ((await examine()).keepsUsers) return ok("users survive a restart");
    return warning(
      "the server keeps users in memory only, so a restart locks every project out",
      "Configure an aclfile.",
    );
  }),
  check("clock", async () => {
    const asked = Date.now();
    return clock((await examine()).time, asked);
  }),
];
