import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { request } from "undici";
import { until } from "../../sandbox/process.ts";
import { FAMILIES } from "../../sandbox/tool-families.ts";
import { plannedFamily } from "../../sandbox/tools.ts";
import { freePort } from "./free-port.ts";

/** A registry with its accounts in a file, as platforms had before tokens. */
export interface BasicRegistry {
  readonly url: string;
  /** Adds an account or changes its password. Without a password, deletes it. */
  setAccount(username: string, password?: string): Promise<void>;
  stop(): Promise<void>;
}

export async function startBasicRegistry(): Promise<BasicRegistry> {
  const folder = await mkdtemp(join(tmpdir(), "rdev-registry-"));
  const path = join(folder, "htpasswd");
  const lines = new Map<string, string>();
  const write = () => writeFile(path, [...lines.values(), ""].join("\n"));
  await write();
  const address = `127.0.0.1:${await freePort()}`;
  const config = join(folder, "config.json");
  const settings = {
    version: "0.1",
    log: { level: "error", accesslog: { disabled: true } },
    storage: { filesystem: { rootdirectory: join(folder, "data") }, delete: { enabled: true } },
    http: { addr: address },
    auth: { htpasswd: { realm: "tests", path } },
  };
  await writeFile(config, JSON.stringify(settings));
  const { built } = await plannedFamily(FAMILIES.registry);
  const server = spawn(built.program("registry"), ["serve", config], { stdio: "ignore" });
  const url = `http://${address}`;
  await until(async () => {
    const { statusCode, body } = await request(`${url}/v2/`);
    await body.dump();
    if (statusCode !== 401) throw new Error(`the registry answers ${statusCode}`);
  });
  return {
    url,
    async setAccount(username, password) {
      // The registry reads the file again when it changes. It accepts only bcrypt.
      const input = { input: password ?? "" };
      if (password === undefined) lines.delete(username);
      else lines.set(username, (await execa("htpasswd", ["-niBC", "5", username], input)).stdout);
      await write();
    },
    async stop() {
      server.kill();
      if (server.exitCode === null) await once(server, "exit");
      await rm(folder, { recursive: true });
    },
  };
}
