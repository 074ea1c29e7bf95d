import { dirname, join } from "node:path";
import { mkdir } from "node:fs/promises";
import { requireCommand, run, startServer } from "../process.ts";
import type { BuiltFamily } from "../tools.ts";
import { type Box, NODE_NAME, SERVICE_RANGE } from "./box.ts";

/** The chain of the firewall that kube-router makes first. */
const CHAIN = "KUBE-ROUTER-FORWARD";

/**
 * Starts kube-router, which refuses what NetworkPolicies do not allow, with firewall rules in the box.
 * Pods' routes and the addresses of Services are not its work here. Resolves when its rules are there.
 */
export async function startNetworkPolicies(
  { context, folder: parent }: Box,
  tools: BuiltFamily,
  kubeconfig: string,
): Promise<void> {
  const folder = join(parent, "kube-router");
  await mkdir(folder);
  const iptables = await requireCommand("iptables");
  await startServer(context, {
    name: "kube-router",
    command: tools.program("kube-router"),
    args: [
      "--run-firewall=true",
      "--run-router=false",
      "--run-service-proxy=false",
      `--kubeconfig=${kubeconfig}`,
      `--hostname-override=${NODE_NAME}`,
      `--service-cluster-ip-range=${SERVICE_RANGE}`,
      "--health-port=0",
    ],
    folder,
    // It runs ipset, iptables and their variants for saving and restoring.
    env: { PATH: [dirname(iptables), dirname(await requireCommand("ipset"))].join(":") },
    ready: () => run(context.reaper, iptables, ["--list-rules", CHAIN], { folder }),
  });
  context.report("node", "NetworkPolicies are enforced");
}
