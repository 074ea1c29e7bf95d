import type { KubeConfig } from "@kubernetes/client-node";
import type { Context } from "../context.ts";
import { applyWorkloads, workloadsRun } from "../platform.ts";
import { startControllers, startControlPlane } from "../servers/control-plane.ts";
import { type RestartableServer, startRestartable } from "../process.ts";
import type { KubernetesServer } from "../servers/kubernetes.ts";
import type { BuiltFamily } from "../tools.ts";
import { type Box, NODE_NAME, SERVICE_RANGE } from "./box.ts";
import { type Containerd, startContainerd } from "./containerd.ts";
import { applyDns, dnsRuns } from "./dns.ts";
import { makeClientCertificate, startKubelet } from "./kubelet.ts";
import { startKubeProxy } from "./kube-proxy.ts";
import { startNetworkPolicies } from "./network-policies.ts";
import { packPodImages } from "./pod-images.ts";

export type NodeTools = Record<
  "kubernetes" | "etcd" | "kubelet" | "containerd" | "cni" | "kubeRouter" | "pods",
  BuiltFamily
>;

export interface RealNode extends KubernetesServer, Omit<Containerd, "containerd"> {
  /** The servers that tests stop for a while. */
  readonly servers: Readonly<Record<"apiServer" | "kubelet" | "containerd", RestartableServer>>;
}

/**
 * Starts a control plane and one node in the box, on which pods run. Then creates the workloads that a
 * platform has before rdev-infra. Pods find all names of `domain` at the node's address.
 */
export async function startRealNode(
  context: Context,
  box: Box,
  tools: NodeTools,
  domain?: string,
): Promise<RealNode> {
  const url = `https://${box.link.node}:6443`;
  const runtime = async () => {
    const [started, archive] = await Promise.all([
      startContainerd(box, tools),
      packPodImages(box.folder, tools.pods),
    ]);
    await started.importImages(archive);
    context.report("node", "containerd runs, with the node's own images");
    return started;
  };
  const clientCertificate = await makeClientCertificate(box);
  const controlPlane = async () => {
    const plane = await startControlPlane(box.context, tools, {
      accounts: {
        kubelet: { user: `system:node:${NODE_NAME}`, group: "system:nodes" },
        "kube-proxy": { user: "system:kube-proxy", group: "" },
        "kube-router": {},
      },
      url,
      serviceRange: SERVICE_RANGE,
      apiServerFlags: [
        "--enable-admission-plugins=NodeRestriction",
        `--kubelet-client-certificate=${clientCertificate.certificate}`,
        `--kubelet-client-key=${clientCertificate.key}`,
        "--kubelet-preferred-address-types=InternalIP",
      ],
      // It listens in the box, on 127.0.0.1, so that no pod reaches it.
      reachesEtcd: false,
    });
    return plane;
  };
  const [{ containerd, ...images }, plane] = await Promise.all([runtime(), controlPlane()]);
  const { admin, apiServer } = plane;
  const kubeletAndPolicies = async () => {
    const kubelet = await startRestartable(() =>
      startKubelet(box, {
        tools: tools.kubelet,
        kubeconfig: plane.kubeconfig("kubelet"),
        clientCertificate,
        admin,
      }),
    );
    context.report("node", "the node is Ready");
    // It ends if the cluster does not know its node.
    await startNetworkPolicies(box, tools.kubeRouter, plane.kubeconfig("kube-router"));
    return kubelet;
  };
  const [kubelet] = await Promise.all([
    kubeletAndPolicies(),
    startControllers(box.context, tools.kubernetes, plane),
    startKubeProxy(box, tools.kubelet, plane.kubeconfig("kube-proxy")),
    applyDns(admin, domain === undefined ? undefined : { domain, address: box.link.node }),
    applyWorkloads(admin),
  ]);
  await podsRun(admin);
  return {
    kubeconfig: plane.kubeconfig("sandbox-admin"),
    ...images,
    servers: { apiServer, kubelet, containerd },
    part: {
      name: "Kubernetes",
      real: true,
      version: tools.kubernetes.version,
      address: url,
      reach: `KUBECONFIG names its file: kubectl get pods -A. Pods run, on the node ${NODE_NAME}`,
    },
  };
}

async function podsRun(admin: KubeConfig): Promise<void> {
  await Promise.all([dnsRuns(admin), workloadsRun(admin)]);
}
