import { writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { requireCommand, startServer } from "../process.ts";
import type { BuiltFamily } from "../tools.ts";
import { type Box, NODE_NAME, POD_RANGE } from "./box.ts";

/** Starts kube-proxy, which makes the addresses of Services work in the box. */
export async function startKubeProxy(
  { context, folder }: Box,
  tools: BuiltFamily,
  kubeconfig: string,
): Promise<void> {
  const config = join(folder, "kube-proxy.json");
  const settings = {
    apiVersion: "kubeproxy.config.k8s.io/v1alpha1",
    kind: "KubeProxyConfiguration",
    clientConnection: { kubeconfig },
    hostnameOverride: NODE_NAME,
    clusterCIDR: POD_RANGE,
    mode: "nftables",
    // The size of the connection table is the whole machine's.
    conntrack: { maxPerCore: 0, min: 0 },
    healthzBindAddress: "127.0.0.1:10256",
    metricsBindAddress: "127.0.0.1:10249",
  };
  await writeFile(config, JSON.stringify(settings, null, 2));
  await startServer(context, {
    name: "kube-proxy",
    command: tools.program("kube-proxy"),
    args: [`--config=${config}`],
    folder,
    // It runs nft.
    env: { PATH: dirname(await requireCommand("nft")) },
    // It listens only in the box. The cluster's DNS does not become ready without it.
    ready: () => undefined,
  });
}
