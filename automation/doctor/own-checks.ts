import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import {
  connection,
  connections,
  hasDatabase,
  isCitadelEnabled,
  pulumiVariables,
} from "../../core/connections.ts";
import { loopbackAddresses } from "../../core/loopback.ts";
import { count } from "../../core/previews/text.ts";
import { type Check, failed, ok, skipped, warning, withSettings } from "../../providers/check.ts";
import { backendStacks } from "../engine/backend-stacks.ts";
import { installedPulumi } from "../engine/command.ts";
import { requirePassphrase } from "../engine/requirements.ts";
import { findSecrets, haveProvider, requireReadable } from "../secrets/readable.ts";
import { Store } from "../store/store.ts";
import {
  isOpenToAll,
  OPEN_TO_ALL,
  requireAppendOnly,
  requireSchema,
} from "../store/require-schema.ts";

/** The checks of what is rdev-infra's own: Pulumi, its backend, the service's database. */
export function ownChecks(workDir: string): readonly Check[] {
  const pulumi = (name: string, run: Check["run"]): Check => ({
    system: "Pulumi",
    name,
    needs: [],
    run,
  });
  return [
    pulumi("command", async () => ok((await installedPulumi()).version?.version ?? "unknown")),
    pulumi("backend", async ({ platform }) => {
      const stacks = await backendStacks(workDir);
      if (platform !== undefined) await requirePassphrase(workDir, platform);
      const { backend = "" } = pulumiVariables();
      if (backend.startsWith("file:") && !new URL(backend).searchParams.has("metadata")) {
        return warning(
          "a killed engine can leave a stack in this folder that nobody can read",
          "Append ?metadata=skip to PULUMI_BACKEND_URL.",
        );
      }
      return ok(`holds ${count(stacks.length, "stack")}`);
    }),
    pulumi("secrets", async ({ platform }) => {
      if (platform === undefined) return skipped("needs the platform's stack");
      const found = await findSecrets(platform, workDir);
      if (!found.state) return skipped("the platform has no stack yet");
      const { provider } = found.state;
      await requireReadable(platform, found.state, workDir);
      if (haveProvider(found, provider)) return ok(`${provider} opens the platform's`);
      return failed(
        `Pulumi.${platform}.yaml does not fit the state, whose provider is ${provider}`,
        `Take the file from where they were moved, or: rdev-infra secrets move ${platform} --to ${provider}`,
      );
    }),
    pulumi("locks", async () => {
      const { backend = "" } = pulumiVariables();
      if (!backend.startsWith("file:")) return skipped("only a backend in file:// shows its locks");
      const locks = await locksIn(fileURLToPath(new URL(backend.replace(/\?.*/, ""))));
      if (locks.length === 0) return ok("no stack is locked");
      return warning(
        locks.join("; "),
        "Wait for these runs. If one's process is gone: pulumi cancel --stack <name>",
      );
    }),
    {
      system: "Service's database",
      name: "schema and role",
      needs: [],
      run: async () => {
        if (!hasDatabase()) return skipped("without DATABASE_URL the command records nothing");
        const store = new Store({ url: connection("database").url, connections: 2 });
        try {
          await requireSchema(store);
          await requireAppendOnly(store);
          const isOpen = await isOpenToAll(store);
          return isOpen ? warning("is open to every role", OPEN_TO_ALL) : ok("fit this version");
        } finally {
          await store.close();
        }
      },
    },
    {
      system: "Addresses",
      name: "loopback",
      needs: ["postgres", "redis", ...(isCitadelEnabled() ? (["citadel"] as const) : [])],
      run: withSettings(async (settings) => {
        const { postgres, redis } = connections(["postgres", "redis"]);
        const citadel = isCitadelEnabled() ? connection("citadel").url : undefined;
        const found = loopbackAddresses(settings, {
          postgres: postgres.url,
          redis: redis.url,
          ...(citadel !== undefined && { citadel }),
        });
        if (found.length === 0) return ok("none is handed out");
        return failed(
          found
            .map(({ host, source, user }) => `${user} would get ${host} from ${source}`)
            .join("; "),
          `Set ${[...new Set(found.map(({ remedy }) => remedy))].join(", ")} to addresses as they see them.`,
        );
      }),
    },
  ];
}

const lock = z.object({
  pid: z.number(),
  username: z.string(),
  hostname: z.string(),
  timestamp: z.string(),
});

/** Where Pulumi's backends without a server keep locks: `locks/organization/<project>/<stack>/<id>.json`. */
async function locksIn(folder: string): Promise<string[]> {
  const locks = join(folder, ".pulumi", "locks");
  const files = await readdir(locks, { recursive: true }).catch(() => []);
  const found = await Promise.all(
    files
      .filter((file) => file.endsWith(".json"))
      .map(async (file) => {
        // The run may end meanwhile.
        const text = await readFile(join(locks, file), "utf8").catch(() => "");
        const holder = text === "" ? undefined : lock.safeParse(JSON.parse(text)).data;
        const stack = file.split("/").at(-2);
        return holder
          ? [`${stack} is locked by ${holder.username}@${holder.hostname} (pid ${holder.pid})`]
          : [];
      }),
  );
  return found.flat();
}
