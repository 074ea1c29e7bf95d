import { randomBytes } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { request } from "undici";
import { type Context, type Part, partFolder } from "../context.ts";
import { requireCommand } from "../find-command.ts";
import { run, startServer } from "../process.ts";
import type { BuiltFamily } from "../tools.ts";

export interface RegistryServer {
  readonly url: string;
  /** rdev-infra's own. */
  readonly admin: Account;
  /** What the projects' pipelines push with. */
  readonly ci: Account;
  readonly part: Part;
}

interface Account {
  readonly username: string;
  readonly password: string;
}

/** Starts an OCI registry that allows deletes, with two accounts. */
export async function startRegistry(
  context: Context,
  registry: BuiltFamily,
): Promise<RegistryServer> {
  const folder = await partFolder(context, "registry");
  const admin = { username: "rdev-admin", password: context.secrets.make() };
  const ci = { username: "rdev-ci", password: context.secrets.make() };
  const accounts = join(folder, "htpasswd");
  const lines = await Promise.all([admin, ci].map((account) => hashed(context, folder, account)));
  await writeFile(accounts, lines.join(""), { mode: 0o600 });

  const address = `127.0.0.1:${context.ports.take()}`;
  const config = join(folder, "config.json");
  // JSON is YAML.
  const settings = {
    version: "0.1",
    log: { level: "warn", accesslog: { disabled: true } },
    storage: { filesystem: { rootdirectory: join(folder, "data") }, delete: { enabled: true } },
    http: { addr: address, secret: randomBytes(16).toString("hex") },
    auth: { htpasswd: { realm: "sandbox", path: accounts } },
  };
  await writeFile(config, JSON.stringify(settings, null, 2), { mode: 0o600 });

  const url = `http://${address}`;
  await startServer(context, {
    name: "registry",
    command: registry.program("registry"),
    args: ["serve", config],
    folder,
    ready: () => answers(url, admin),
  });
  return {
    url,
    admin,
    ci,
    part: {
      name: "OCI registry",
      real: true,
      version: registry.version,
      address: url,
      reach:
        "REGISTRY_USERNAME and REGISTRY_PASSWORD; for pipelines REGISTRY_CI_USERNAME, REGISTRY_CI_PASSWORD",
    },
  };
}

/** A line of an htpasswd file. The registry reads bcrypt only; cost 5, because logins are many here. */
function hashed(context: Context, folder: string, { username, password }: Account) {
  return requireCommand("htpasswd").then((command) =>
    run(context.warden, command, ["-niBC", "5", username], { folder, input: password }),
  );
}

async function answers(url: string, { username, password }: Account): Promise<void> {
  const authorization = `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`;
  const { statusCode, body } = await request(`${url}/v2/`, { headers: { authorization } });
  await body.dump();
  if (statusCode !== 200) throw new Error(`it answers ${statusCode}`);
}
