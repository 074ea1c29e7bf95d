import { randomBytes } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { runningSandbox } from "./sandbox.ts";

/** Writes the sandbox's kubeconfig with another server or token into the sandbox's folder. */
export async function writeKubeconfig(change: {
  readonly server?: string;
  readonly token?: string;
}): Promise<string> {
  const { env, folder } = runningSandbox();
  const config = JSON.parse(await readFile(env["KUBECONFIG"] ?? "", "utf8")) as {
    clusters: { cluster: { server: string; "insecure-skip-tls-verify"?: boolean } }[];
    users: { user: { token: string } }[];
  };
  for (const { cluster } of config.clusters) {
    cluster.server = change.server ?? cluster.server;
    // Kubernetes clients need this option for plain HTTP.
    if (cluster.server.startsWith("http:")) cluster["insecure-skip-tls-verify"] = true;
  }
  for (const { user } of config.users) user.token = change.token ?? user.token;
  const file = join(folder, `${randomBytes(4).toString("hex")}.kubeconfig`);
  await writeFile(file, JSON.stringify(config), { mode: 0o600 });
  return file;
}
