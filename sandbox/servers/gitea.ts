import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { request } from "undici";
import { InfraError } from "../../core/errors.ts";
import { type Context, type Part, partFolder } from "../context.ts";
import { run, startServer } from "../process.ts";
import type { BuiltFamily } from "../tools.ts";

const ADMIN = "rdev-admin";

export interface GiteaServer {
  readonly url: string;
  /** The administrator's token, with all scopes. */
  readonly token: string;
  readonly part: Part;
}

export interface GiteaOptions {
  readonly gitea: BuiltFamily;
  readonly organization: string;
  /** The URL in its links and in the tokens that it signs. @default its own address */
  readonly publicUrl?: string | undefined;
}

/** Starts Gitea on SQLite with an administrator and one empty organization. */
export async function startGitea(
  context: Context,
  { gitea, organization, publicUrl }: GiteaOptions,
): Promise<GiteaServer> {
  const folder = await partFolder(context, "gitea");
  const port = context.ports.take();
  const url = `http://127.0.0.1:${port}`;
  const config = join(folder, "app.ini");
  const own = { folder, assets: gitea.assets, port, publicUrl: publicUrl ?? url };
  await writeFile(config, settings(own, context), { mode: 0o600 });
  const command = gitea.program("gitea");
  const common = ["--config", config, "--work-path", folder];
  const env = { USER: "rdev", GITEA_I_AM_BEING_UNSAFE_RUNNING_AS_ROOT: "true" };

  await startServer(context, {
    name: "gitea",
    command,
    args: ["web", ...common],
    folder,
    env,
    ready: async () => {
      const { statusCode, body } = await request(`${url}/api/healthz`);
      await body.dump();
      if (statusCode !== 200) throw new Error(`health is ${statusCode}`);
    },
  });
  const output = await run(
    context.reaper,
    command,
    [
      ...["admin", "user", "create", ...common, "--admin", "--random-password"],
      ...["--username", ADMIN, "--email", `${ADMIN}@example.test`, "--must-change-password=false"],
      ...["--access-token", "--access-token-name", "rdev-infra", "--access-token-scopes", "all"],
    ],
    { folder, env },
  );
  const token = /^Access token was successfully created\.\.\. (\w+)$/m.exec(output)?.[1];
  if (!token) throw new InfraError("RDEV_SANDBOX", "Gitea printed no access token");
  context.secrets.add(token);
  await createOrganization(url, token, organization);
  return {
    url,
    token,
    part: {
      name: "Gitea",
      real: true,
      version: gitea.version,
      address: url,
      reach: `GITEA_TOKEN is the administrator's; the organization is ${organization}`,
    },
  };
}

async function createOrganization(url: string, token: string, name: string): Promise<void> {
  const { statusCode, body } = await request(`${url}/api/v1/orgs`, {
    method: "POST",
    headers: { authorization: `token ${token}`, "content-type": "application/json" },
    body: JSON.stringify({ username: name }),
  });
  const text = await body.text();
  if (statusCode !== 201) {
    throw new InfraError(
      "RDEV_SANDBOX",
      `Gitea did not create the organization "${name}": ${statusCode} ${text}`,
    );
  }
}

interface Own {
  readonly folder: string;
  readonly assets: string;
  readonly port: number;
  readonly publicUrl: string;
}

/** https://docs.gitea.com/administration/config-cheat-sheet */
function settings({ folder, assets, port, publicUrl }: Own, { secrets }: Context): string {
  const sections: Record<string, Record<string, string | number | boolean>> = {
    "": { APP_NAME: "Sandbox", RUN_MODE: "prod", WORK_PATH: folder },
    server: {
      HTTP_ADDR: "127.0.0.1",
      HTTP_PORT: port,
      ROOT_URL: `${publicUrl}/`,
      DISABLE_SSH: true,
      OFFLINE_MODE: true,
      STATIC_ROOT_PATH: assets,
      APP_DATA_PATH: join(folder, "data"),
      LFS_START_SERVER: false,
    },
    database: {
      DB_TYPE: "sqlite3",
      PATH: join(folder, "gitea.sqlite3"),
      SQLITE_JOURNAL_MODE: "WAL",
      SQLITE_TIMEOUT: 5_000,
    },
    repository: { ROOT: join(folder, "repositories") },
    // By default, webhooks may not call addresses of this machine, where Woodpecker listens.
    webhook: { ALLOWED_HOST_LIST: "*" },
    security: {
      INSTALL_LOCK: true,
      SECRET_KEY: secrets.make(),
      INTERNAL_TOKEN: secrets.make(),
    },
    service: { DISABLE_REGISTRATION: true },
    actions: { ENABLED: false },
    packages: { ENABLED: false },
    indexer: { ISSUE_INDEXER_TYPE: "db" },
    mailer: { ENABLED: false },
    picture: { DISABLE_GRAVATAR: true },
    log: { MODE: "console", LEVEL: "warn" },
    "cron.update_checker": { ENABLED: false },
  };
  return Object.entries(sections)
    .map(([name, values]) => {
      const lines = Object.entries(values).map(([key, value]) => `${key} = ${value}`);
      return [...(name ? [`[${name}]`] : []), ...lines, ""].join("\n");
    })
    .join("\n");
}
