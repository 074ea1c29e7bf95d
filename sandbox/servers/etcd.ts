import { join } from "node:path";
import { request } from "undici";
import { type Context, partFolder } from "../context.ts";
import { startServer } from "../process.ts";
import type { BuiltFamily } from "../tools.ts";

/**
 * Starts etcd for the API server. Returns its URL. Where this process cannot reach the URL, the API
 * server's own readiness shows that etcd answers.
 */
export async function startEtcd(
  context: Context,
  etcd: BuiltFamily,
  { isReachable }: { readonly isReachable: boolean },
): Promise<string> {
  const folder = await partFolder(context, "etcd");
  const client = `http://127.0.0.1:${context.ports.take()}`;
  const peer = `http://127.0.0.1:${context.ports.take()}`;
  await startServer(context, {
    name: "etcd",
    command: etcd.program("etcd"),
    args: [
      "--name=sandbox",
      `--data-dir=${join(folder, "data")}`,
      `--listen-client-urls=${client}`,
      `--advertise-client-urls=${client}`,
      `--listen-peer-urls=${peer}`,
      `--initial-advertise-peer-urls=${peer}`,
      `--initial-cluster=sandbox=${peer}`,
      // The data does not need to survive a crash of the machine.
      "--unsafe-no-fsync",
      "--log-level=warn",
    ],
    folder,
    ready: async () => {
      if (!isReachable) return;
      const { statusCode, body } = await request(`${client}/health`);
      await body.dump();
      if (statusCode !== 200) throw new Error(`health is ${statusCode}`);
    },
  });
  return client;
}
