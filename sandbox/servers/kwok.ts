import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { CoreV1Api, type KubeConfig } from "@kubernetes/client-node";
import { type Context, partFolder } from "../context.ts";
import { startServer } from "../process.ts";
import type { BuiltFamily } from "../tools.ts";
import { STAGES } from "./kwok-stages.ts";

const NODES = ["node-1", "node-2"];

/** Starts kwok, which simulates kubelets, and creates its nodes. Resolves when they are Ready. */
export async function startKwok(
  context: Context,
  kwok: BuiltFamily,
  kubeconfig: string,
  admin: KubeConfig,
): Promise<void> {
  const folder = await partFolder(context, "kwok");
  const stages = join(folder, "stages.json");
  await writeFile(stages, STAGES.map((stage) => JSON.stringify(stage)).join("\n---\n"));
  const core = admin.makeApiClient(CoreV1Api);
  await Promise.all(NODES.map((name) => core.createNode({ body: node(name) })));
  await startServer(context, {
    name: "kwok",
    command: kwok.program("kwok"),
    args: [
      `--kubeconfig=${kubeconfig}`,
      `--config=${stages}`,
      "--manage-all-nodes=true",
      "--cidr=10.244.0.0/16",
      "--node-ip=127.0.0.1",
      // Without leases as heartbeats, the controller manager would mark the nodes as lost.
      "--node-lease-duration-seconds=40",
    ],
    folder,
    ready: async () => {
      const { items } = await core.listNode();
      const ready = items.filter(({ status }) =>
        status?.conditions?.some(({ type, status: value }) => type === "Ready" && value === "True"),
      );
      if (ready.length < NODES.length) throw new Error(`${ready.length} nodes are Ready`);
    },
  });
}

function node(name: string) {
  return {
    metadata: {
      name,
      annotations: { "kwok.x-k8s.io/node": "fake" },
      labels: {
        "kubernetes.io/arch": "amd64",
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
      },
    },
  };
}
